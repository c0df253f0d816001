-- compatible with: 1
-- Within a lane's share the most urgent goes first.

-- By when it should have been carried; the smaller goes first. 0: recorded by a version that did not say.
ALTER TABLE message ADD COLUMN urgency INTEGER NOT NULL DEFAULT 0;
-- 1: ready, but not before next_at. A claim that comes later makes it 0, and only then is it among the due.
ALTER TABLE message ADD COLUMN put_off INTEGER NOT NULL DEFAULT 0;

-- Written to find out whether anything can be written.
CREATE TABLE probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
