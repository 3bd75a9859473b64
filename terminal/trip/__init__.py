"""What a decision knows besides the card and the policy: shift, turn, place, clock, lists, the pupil of a canteen."""
