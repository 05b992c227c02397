-- Whose bundles a workload is given beside its own.
ALTER TABLE entries ADD COLUMN federates_with TEXT NOT NULL DEFAULT '[]';

-- The agents that an entry names, so that each finds its own without reading them all.
CREATE TABLE entry_agents (
    agent TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (agent, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_agents_subject ON entry_agents (subject);
INSERT OR IGNORE INTO entry_agents
    SELECT named.value, subject FROM entries, json_each(obtained_by) AS named
    WHERE named.value LIKE 'spiffe://%';
