-- What access logs show of an elevation's use: the first and the last moment, how many, and when an
-- event told of it last. Few elevations are active: the index finds those that nobody uses.

ALTER TABLE elevations ADD COLUMN first_used_at INTEGER;
ALTER TABLE elevations ADD COLUMN last_used_at INTEGER;
ALTER TABLE elevations ADD COLUMN uses INTEGER;
ALTER TABLE elevations ADD COLUMN use_told_at INTEGER;

CREATE INDEX elevations_idle ON elevations (scope, coalesce(last_used_at, activated_at))
    WHERE state = 'active';
