SELECT name FROM letter_channel
