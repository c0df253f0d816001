-- compatible with: 1
-- concurrently
-- A party's tokens that have ended are forgotten at each use: among all those that still live.
CREATE INDEX token_use_end ON token_use (party, expires_at);
