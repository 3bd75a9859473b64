"""The data objects of a bank application by number, and the names of its directories.

The meanings are EMV Book 3's, annex A and B; what of them may be shown is decided by `cardproto.emv.masking`.
"""

from __future__ import annotations

from typing import Final

PPSE: Final = b"2PAY.SYS.DDF01"
"""The list of applications that may be reached without contacts."""
PSE: Final = b"1PAY.SYS.DDF01"
"""The list that may be reached with contacts; a gate never asks for it."""

RID_BYTES: Final = 5
AID_BYTES: Final = range(5, 17)
RID_MIR: Final = bytes.fromhex("A000000658")

# Directories and selection
TAG_FCI: Final = 0x6F
TAG_FCI_PROPRIETARY: Final = 0xA5
TAG_FCI_ISSUER: Final = 0xBF0C
TAG_DIRECTORY_ENTRY: Final = 0x61
TAG_DF_NAME: Final = 0x84
TAG_AID: Final = 0x4F
TAG_LABEL: Final = 0x50
TAG_PRIORITY: Final = 0x87
TAG_KERNEL: Final = 0x9F2A
TAG_PDOL: Final = 0x9F38
TAG_LANGUAGE: Final = 0x5F2D

# Templates of answers and records
TAG_RECORD: Final = 0x70
TAG_ANSWER_1: Final = 0x80
TAG_ANSWER_2: Final = 0x77
TAG_DOL_VALUES: Final = 0x83

# What the application says of itself
TAG_AIP: Final = 0x82
TAG_AFL: Final = 0x94
TAG_PAN: Final = 0x5A
TAG_SEQUENCE: Final = 0x5F34
TAG_EXPIRY: Final = 0x5F24
TAG_EFFECTIVE: Final = 0x5F25
TAG_TRACK_2: Final = 0x57
TAG_TRACK_1_MAGNETIC: Final = 0x56
TAG_TRACK_2_MAGNETIC: Final = 0x9F6B
TAG_TRACK_1_DISCRETIONARY: Final = 0x9F1F
TAG_TRACK_2_DISCRETIONARY: Final = 0x9F20
TAG_HOLDER: Final = 0x5F20
TAG_HOLDER_EXTENDED: Final = 0x9F0B
TAG_ISSUER_COUNTRY: Final = 0x5F28
TAG_USAGE: Final = 0x9F07
TAG_CARD_VERSION: Final = 0x9F08
TAG_CDOL_1: Final = 0x8C
TAG_CDOL_2: Final = 0x8D
TAG_CVM_LIST: Final = 0x8E
TAG_PAR: Final = 0x9F24
TAG_IAC_DEFAULT: Final = 0x9F0D
TAG_IAC_DENIAL: Final = 0x9F0E
TAG_IAC_ONLINE: Final = 0x9F0F

# Offline data authentication
TAG_CA_INDEX: Final = 0x8F
TAG_ISSUER_CERTIFICATE: Final = 0x90
TAG_ISSUER_REMAINDER: Final = 0x92
TAG_ISSUER_EXPONENT: Final = 0x9F32
TAG_STATIC_SIGNATURE: Final = 0x93
TAG_CARD_CERTIFICATE: Final = 0x9F46
TAG_CARD_EXPONENT: Final = 0x9F47
TAG_CARD_REMAINDER: Final = 0x9F48
TAG_DDOL: Final = 0x9F49
TAG_STATIC_TAGS: Final = 0x9F4A
TAG_DYNAMIC_SIGNATURE: Final = 0x9F4B
TAG_CARD_NUMBER_RANDOM: Final = 0x9F4C
TAG_CARD_AUTHENTICATION_RELATED: Final = 0x9F69

# A transaction
TAG_CRYPTOGRAM: Final = 0x9F26
TAG_CRYPTOGRAM_KIND: Final = 0x9F27
TAG_ISSUER_DATA: Final = 0x9F10
TAG_ATC: Final = 0x9F36
TAG_CARD_QUALIFIERS: Final = 0x9F6C
TAG_FORM_FACTOR: Final = 0x9F6E

# What a terminal says of itself and of the transaction
TAG_AMOUNT: Final = 0x9F02
TAG_AMOUNT_OTHER: Final = 0x9F03
TAG_COUNTRY: Final = 0x9F1A
TAG_CURRENCY: Final = 0x5F2A
TAG_TVR: Final = 0x95
TAG_DATE: Final = 0x9A
TAG_TIME: Final = 0x9F21
TAG_TRANSACTION_TYPE: Final = 0x9C
TAG_UNPREDICTABLE: Final = 0x9F37
TAG_TERMINAL_TYPE: Final = 0x9F35
TAG_TERMINAL_CAPABILITIES: Final = 0x9F33
TAG_TERMINAL_CAPABILITIES_MORE: Final = 0x9F40
TAG_TTQ: Final = 0x9F66
TAG_MERCHANT: Final = 0x9F4E
TAG_MERCHANT_CUSTOM: Final = 0x9F7C
TAG_MERCHANT_CATEGORY: Final = 0x9F15
TAG_CVM_RESULTS: Final = 0x9F34
TAG_APPLICATION_VERSION: Final = 0x9F09
TAG_DATA_AUTHENTICATION_CODE: Final = 0x9F45

# Application interchange profile, byte 1 and 2
AIP_CDA: Final = 0x0100
AIP_DDA: Final = 0x2000
AIP_SDA: Final = 0x4000
AIP_EMV_MODE: Final = 0x0080
"""Without it a Mastercard without contacts offers its magnetic stripe only, which nothing signs."""

# Classes of cryptogram: bits 8 and 7 of P1 and of tag 9F27; CDA is asked for with bit 5 of P1
CRYPTOGRAM_AAC: Final = 0x00
CRYPTOGRAM_TC: Final = 0x40
CRYPTOGRAM_ARQC: Final = 0x80
CRYPTOGRAM_MASK: Final = 0xC0
P1_CDA: Final = 0x10

INS_GET_PROCESSING_OPTIONS: Final = 0xA8
INS_GENERATE_AC: Final = 0xAE
INS_INTERNAL_AUTHENTICATE: Final = 0x88
INS_READ_RECORD: Final = 0xB2
INS_SELECT: Final = 0xA4

TTQ_GATE: Final = bytes.fromhex("21000000")
"""Contact chip grammar over the air, and a signature wanted even when the issuer would be asked: no PIN, no paper."""
