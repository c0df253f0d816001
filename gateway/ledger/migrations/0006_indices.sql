-- compatible with: 1
-- concurrently
-- Claims: what is due of a lane, the most urgent first, and what is put off.
CREATE INDEX message_urgent ON message (lane, urgency) WHERE state = 'ready' AND put_off = 0;
CREATE INDEX message_put_off ON message (lane, next_at) WHERE state = 'ready' AND put_off = 1;
-- What is held for a partner is woken a few at a time, those first that were held longest.
CREATE INDEX message_held_for ON message (waits_for, next_at) WHERE state = 'held';
CREATE INDEX message_asked_for ON message (waits_for, next_at)
    WHERE state = 'uncertain' AND waits_for IS NOT NULL;
-- What is compared with a partner's list of a day.
CREATE INDEX effect_opened ON effect (destination, operation, opened_at);
