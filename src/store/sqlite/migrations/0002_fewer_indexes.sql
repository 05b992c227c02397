-- An index costs each issuance a page of the log. A serial number stands in `intents` already, with
-- an index that must be there; of a fingerprint, the first eight bytes find the row.

DROP INDEX events_serial;
DROP INDEX events_fingerprint;
CREATE INDEX events_fingerprint ON events (substr(fingerprint, 1, 16))
    WHERE fingerprint IS NOT NULL;
