"""The message table against rows written apart from it, and the forms of numbers, dates and sums."""

from __future__ import annotations

from typing import cast

import pytest

from terminal.decision.outcome import Message
from terminal.errors import TerminalError
from terminal.messages import (
    TABLE,
    Colour,
    MediumMessage,
    colour,
    day,
    register,
    sound,
    text,
    trips,
    wording,
)
from terminal.money import money

# Written apart from the table: code | colour | Russian | English.
ROWS = """
ok_paid | green | Оплачено. Счастливого пути! | Paid. Have a good trip!
ok_paid_by_bank | green | Оплачено банковской картой. Счастливого пути! | Paid by bank card. Have a good trip!
ok_pass | green | Проездной действителен до {date} | Pass valid until {date}
ok_pack | green | Осталось поездок: {n} | Trips left: {n}
ok_benefit | green | Льготный проезд. Осталось поездок: {n} | Concession trip. Trips left: {n}
ok_benefit_unlimited | green | Льготный проезд | Concession trip
ok_grace | yellow | Поездка в долг. Осталось поездок в долг: {n} | Ride on credit. Rides on credit left: {n}
ok_transfer | green | Пересадка. Бесплатно до {time} | Transfer. Free until {time}
ok_checkin | green | Проезд разрешён. Приложите карту на выходе | Checked in. Tap again when leaving
ok_checkout | green | Выход отмечен. Списано {sum} | Checked out. Charged {sum}
limit_reached | yellow | Льготные поездки закончились. Списан полный тариф | No concession trips left. Full fare charged
pack_used_up | yellow | Поездки по пакету закончились. Списан полный тариф | Pack used up. Full fare charged
pack_lapsed | yellow | Пакет другого месяца. Списан полный тариф | Pack of another month. Full fare charged
count_unreadable | yellow | Остаток поездок неизвестен. Списан полный тариф | Trips left unknown. Full fare charged
pass_used_up | yellow | Поездки по проездному закончились. Списан полный тариф | Pass used up. Full fare charged
already_paid | yellow | Проезд уже оплачен | Already paid
no_funds | red | Недостаточно средств | Not enough money
debt | red | Есть неоплаченные поездки. Погасите задолженность | Unpaid rides. Please settle the debt
deny_list | red | Карта в стоп-листе. Погасите задолженность | Card on the deny list. Please settle the debt
blocked | red | Карта заблокирована | Card blocked
expired | red | Срок действия карты истёк | Card expired
not_yet_valid | red | Карта ещё не действует | Card not valid yet
other_region | red | Карта другого региона | Card of another region
credential_expired | red | Продлите льготу в пункте выдачи карт | Concession to be renewed at an issuing point
credential_not_trusted | red | Карта не подтверждена эмитентом | Card not confirmed by its issuer
benefit_expired | yellow | Срок льготы истёк. Полный тариф | Concession expired. Full fare
benefit_out_of_season | yellow | Льгота сейчас не действует. Полный тариф | Concession not in season. Full fare
benefit_not_checked | yellow | Льготу не удалось проверить. Полный тариф | Concession could not be checked. Full fare
medium_inactive | red | Активна другая карта или телефон | Another card or phone is active
read_again | yellow | Приложите карту ещё раз | Tap again
one_card | yellow | Приложите одну карту | Present one card only
unknown_card | red | Карта не поддерживается | Card not supported
bank_closed | yellow | Банковские карты сейчас не принимаются | Bank cards are not accepted now
not_accepted | red | Карта не принята | Card not accepted
unlock_phone | yellow | Разблокируйте телефон и приложите снова | Unlock the phone and tap again
no_right_in_phone | red | Нет льготы на эту поездку. Оплатите иначе | No concession for this ride. Pay otherwise
code_used | red | Код уже использован. Покажите новый | Code already used. Show the next one
code_too_old | yellow | Код устарел. Откройте приложение снова | Code out of date. Open the app again
code_ahead | yellow | Проверьте время на телефоне | Check the time on the phone
code_of_others | yellow | Это другой код. Покажите код карты жителя | Another code. Show the code of the resident card
code_of_bank | yellow | Это код для оплаты. Покажите код карты жителя | A payment code. Show the resident card's code
code_of_rail | yellow | Это билет на поезд. Покажите код карты жителя | A train ticket. Show the resident card's code
code_of_health | yellow | Это медицинский код. Покажите код карты жителя | A health code. Show the resident card's code
code_is_link | yellow | Это ссылка на сайт. Покажите код карты жителя | A web link. Show the resident card's code
code_printed | red | Код на бумаге. Покажите код в приложении | Printed code. Show the code in the app
code_check | yellow | Код на бумаге. Подождите, его проверят | Printed code. Please wait for the check
code_not_accepted | yellow | Коды здесь не принимаются | Codes are not accepted here
shift_closed | red | Терминал пока не работает | Terminal not in service yet
clock_unconfirmed | red | Терминал временно не работает | Terminal temporarily not in service
clock_confirmed | green | Время подтверждено: {date}, {time} | Time confirmed: {date}, {time}
out_of_order | red | Терминал неисправен | Terminal out of order
fare_unknown | red | Тариф не определён. Оплатите проезд водителю | Fare not known. Please pay the driver
too_many_persons | red | Слишком много пассажиров по одной карте | Too many persons for one card
staff_card | green | Служебная карта. Введите ПИН-код до {time} | Service card. Enter the PIN by {time}
inspection_paid | green | Проезд оплачен | Ride paid
inspection_unpaid | red | Проезд не оплачен | Ride not paid
meal_ok | green | Приятного аппетита! | Enjoy your meal!
meal_already | yellow | {meal} уже получен | {meal} already served
meal_not_ordered | yellow | Питание на сегодня не заказано | No meal ordered today
meal_ask | yellow | Подождите, решает кассир | Please wait for the cashier
card_read | yellow | Карта прочитана | Card read
meal_not_arranged | yellow | Питание не оформлено | No meal arranged
no_meal_now | yellow | Сейчас питание не выдаётся | No meals are served now
no_meal_today | yellow | Сегодня питания нет | No meals today
meal_forbidden | red | Этот продукт исключён родителями | Not allowed by parents
meal_limit | red | Дневной лимит исчерпан | Daily limit reached
serving_closed | red | Выдача на сегодня закончена | Serving is over for today
selling_stopped | red | Продажа остановлена | Selling is stopped
pupil_unknown | red | Ученика нет в списке | Pupil not in the list
not_on_site | yellow | Ученик на домашнем обучении | Pupil is home schooled
online_only | yellow | Нужна связь, попробуйте позже | Connection needed, try later
discount_ok | green | Скидка {p} % | Discount {p} %
permit_ok | green | Разрешение действует до {time} | Permit valid until {time}
permit_none | red | Разрешения нет | No permit
"""
EXPECTED = [tuple(cell.strip() for cell in row.split("|")) for row in ROWS.strip().splitlines()]
VALUES: dict[str, int | str] = {
    "n": 44,
    "date": "2026-12-31",
    "time": "09:05",
    "sum_minor": 2400,
    "currency": "RUB",
    "meal": "lunch",
    "p": 15,
}
FILLED = [
    (Message.OK_BENEFIT, "Льготный проезд. Осталось поездок: 44", "Concession trip. Trips left: 44"),
    (Message.OK_PASS, "Проездной действителен до 31.12.2026", "Pass valid until 31 Dec 2026"),
    (Message.OK_TRANSFER, "Пересадка. Бесплатно до 09:05", "Transfer. Free until 09:05"),
    (Message.OK_CHECKOUT, "Выход отмечен. Списано 24,00 ₽", "Checked out. Charged RUB 24.00"),
    (Message.MEAL_ALREADY, "Обед уже получен", "Lunch already served"),
    (Message.DISCOUNT_OK, "Скидка 15 %", "Discount 15 %"),
    (Message.OK_PAID, "Оплачено. Счастливого пути!", "Paid. Have a good trip!"),
]


def test_rows_and_table_have_the_same_codes() -> None:
    assert [row[0] for row in EXPECTED] == [message.value for message in Message]
    assert set(TABLE) == set(Message)


@pytest.mark.parametrize(("code", "shown", "russian", "english"), EXPECTED)
def test_colour_and_wording_are_those_of_the_rows(code: str, shown: str, russian: str, english: str) -> None:
    message = Message(code)
    assert (colour(message), wording(message, "ru"), wording(message, "en")) == (
        Colour(shown),
        russian,
        english,
    )


@pytest.mark.parametrize("message", Message)
@pytest.mark.parametrize("language", ["ru", "en"])
def test_no_message_leaves_a_gap(message: Message, language: str) -> None:
    assert "{" not in text(message, language, VALUES)


@pytest.mark.parametrize(("message", "russian", "english"), FILLED)
def test_values_take_the_form_of_the_language(message: Message, russian: str, english: str) -> None:
    assert (text(message, "ru", VALUES), text(message, "en", VALUES)) == (russian, english)


def test_a_meal_kind_of_the_region_s_own_shows_its_id() -> None:
    assert text(Message.MEAL_ALREADY, "en", {"meal": "late_supper"}) == "late_supper already served"


def test_colour_never_stands_alone() -> None:
    beeps = {colour(message): sound(message).beeps for message in Message}
    assert beeps == {Colour.GREEN: 1, Colour.RED: 3, Colour.YELLOW: 2}


@pytest.mark.parametrize(
    ("count", "russian", "english"),
    [
        (0, "0 поездок", "0 trips"),
        (1, "1 поездка", "1 trip"),
        (2, "2 поездки", "2 trips"),
        (4, "4 поездки", "4 trips"),
        (5, "5 поездок", "5 trips"),
        (11, "11 поездок", "11 trips"),
        (12, "12 поездок", "12 trips"),
        (14, "14 поездок", "14 trips"),
        (21, "21 поездка", "21 trips"),
        (22, "22 поездки", "22 trips"),
        (25, "25 поездок", "25 trips"),
        (101, "101 поездка", "101 trips"),
        (111, "111 поездок", "111 trips"),
        (112, "112 поездок", "112 trips"),
    ],
)
def test_counts_take_the_right_form(count: int, russian: str, english: str) -> None:
    assert (trips(count, "ru"), trips(count, "en")) == (russian, english)


@pytest.mark.parametrize(
    ("sum_minor", "currency", "russian", "english"),
    [
        (0, "RUB", "0,00 ₽", "RUB 0.00"),
        (5, "RUB", "0,05 ₽", "RUB 0.05"),
        (2400, "RUB", "24,00 ₽", "RUB 24.00"),
        (123456789, "RUB", "1\N{NO-BREAK SPACE}234\N{NO-BREAK SPACE}567,89 ₽", "RUB 1,234,567.89"),
        (-150, "RUB", "-1,50 ₽", "RUB -1.50"),
        (1250, "EUR", "12,50 €", "EUR 12.50"),
        (123456, "JPY", "123\N{NO-BREAK SPACE}456 ¥", "JPY 123,456"),
        (-7, "JPY", "-7 ¥", "JPY -7"),
        (1234567, "BHD", "1\N{NO-BREAK SPACE}234,567 BHD", "BHD 1,234.567"),
        (20000, "KZT", "200,00 ₸", "KZT 200.00"),
        (5, "CLF", "0,0005 CLF", "CLF 0.0005"),
        (1234, "", "1\N{NO-BREAK SPACE}234 ", " 1,234"),
    ],
)
def test_sums(sum_minor: int, currency: str, russian: str, english: str) -> None:
    assert (money(sum_minor, currency, "ru"), money(sum_minor, currency, "en")) == (russian, english)


def test_a_sum_needs_its_currency() -> None:
    with pytest.raises(TerminalError, match="needs 'currency'"):
        text(Message.OK_CHECKOUT, "en", {"sum_minor": 2400})


def test_dates() -> None:
    assert (day("2026-09-01", "ru"), day("2026-09-01", "en")) == ("01.09.2026", "1 Sep 2026")


def test_a_language_without_texts_is_named() -> None:
    with pytest.raises(TerminalError, match=r"no texts in language 'tt'\. Use ru or en\."):
        text(Message.OK_PAID, "tt")


def test_a_missing_value_is_named() -> None:
    with pytest.raises(TerminalError, match="message ok_benefit needs 'n'"):
        text(Message.OK_BENEFIT, "ru")


def brought(code: str = "pool.in", en: str = "In until {time}", **texts: str) -> MediumMessage:
    return MediumMessage(code, Colour.GREEN, {"en": en, **texts} if en else texts)


def test_a_medium_brings_messages_in_its_languages() -> None:
    register("pool", [brought(ru="До {time}"), brought("pool.out", "Closed")])
    register("pool", [brought(ru="До {time}")])
    assert [text("pool.in", language, {"time": "12:00"}) for language in ("ru", "en")] == [
        "До 12:00",
        "In until 12:00",
    ]
    assert text("pool.out", "ru") == "Closed", "in English where it has no line"
    assert (colour("pool.in"), sound("pool.in").beeps) == (Colour.GREEN, 1)
    with pytest.raises(TerminalError, match="no texts in language"):
        text("pool.out", "tlh")


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([brought("in")], "another form than spa.name"),
        ([brought("pool.in")], "another form than spa.name"),
        ([brought("ok_paid")], "another form than spa.name"),
        ([brought("spa.In")], "another form than spa.name"),
        ([brought("spa.in"), brought("spa.in", "Another line")], "clashes"),
        ([brought("spa.in", "", ru="Вход")], "no English line"),
        ([brought("spa.in", "In {when}")], "asks for values"),
        ([brought("spa.in", "In {time!r}")], "asks for values"),
        ([brought("spa.in", "In {time:>9}")], "asks for values"),
        ([brought("spa.in", "In {time.__class__}")], "asks for values"),
        ([brought("spa.in", "In {}")], "asks for values"),
        ([brought("spa.in", "In {time}", ru="Вход")], "asks for values"),
        ([brought("spa.in", "In {time")], "malformed"),
        ([brought("spa.in", "In\nuntil {time}")], "cannot be shown"),
        ([brought("spa.in", ru="До \x1b[2J{time}")], "cannot be shown"),
        ([MediumMessage("spa.in", cast(Colour, "blue"), {"en": "In"})], "none of ours"),
    ],
)
def test_messages_that_cannot_be_shown_are_refused_and_none_is_kept(
    messages: list[MediumMessage], problem: str
) -> None:
    with pytest.raises(TerminalError, match=problem):
        register("spa", [brought("spa.first", "First"), *messages])
    assert text("spa.first", "en") == "spa.first"


def test_another_message_of_a_registered_code_is_refused() -> None:
    register("sauna", [brought("sauna.in")])
    with pytest.raises(TerminalError, match="clashes"):
        register("sauna", [brought("sauna.in", "Welcome until {time}")])
    assert wording("sauna.in", "en") == "In until {time}"


def test_a_code_without_a_line_stands_for_itself() -> None:
    assert (wording("gone.in", "ru"), colour("gone.in")) == ("gone.in", Colour.YELLOW)
