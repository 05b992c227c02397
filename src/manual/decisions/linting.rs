//! Which holes of a mesh's configuration are told, and which are not.
//!
//! # A finding is a person who gets in or stays in
//!
//! Rules name an attack or an accident; there is none on style. Price: what is merely unwise, a
//! short `connect_timeout` for one, is not told.
//!
//! # Silence where nothing speaks of a scope
//!
//! `namespaces: [shop]` is a sound rule in a mesh without scopes and hands every elevated name its
//! base rights in one with them. So rules on what only an elevated name can do are asked when a
//! file of the run names a scope, or when a catalogue is given; resumption, untrusted chains and
//! ends of names are always told. Before the samples of a large mesh a linter that told all of it
//! everywhere would be switched off within a day. Price: a directory whose scopes are in another
//! repository needs `--scopes` to be looked at whole.
//!
//! # Files that are in force together are named together
//!
//! PERMISSIVE is a hole behind a MUTUAL client and none alone, and the two stand in two files. The
//! linter compares what it was given and does not guess the rest, so the same file may be silent
//! alone. What a mesh defaults to counts as written where the default is the hole.
//!
//! # Parts are known by their type, wherever they stand
//!
//! A bootstrap, a file of dynamic configuration, a dump and the patch in an `EnvoyFilter` hold the
//! same messages at different depths. Rules look for the message, not for the path. Price: a part
//! that stands somewhere without being in force is told too.
//!
//! # What comes by discovery is not guilty
//!
//! A filter that arrives over xDS may ask for names, so a chain with one is not told to have no
//! RBAC; the agent's deny list is the exception, it says who is out. Lint the dump of a proxy to
//! see what came.
//!
//! # Scripts and modules are trusted with the recipe
//!
//! A Lua filter that reads the peer's end and writes the stream's limit may be right, and so may a
//! module that ends connections. They end the search for the recipe, and are not read. Price: a
//! wrong script is not found; `protem doctor expiry` asks the endpoint itself.
//!
//! # An allowance carries its reason
//!
//! A linter in a pipeline needs a way to say yes. It is a comment at the place, holds for one rule
//! and two lines, and is itself a finding without a reason: what was allowed by nobody for nothing
//! is how holes come back. JSON has no comments and so no allowances.
//!
//! # Only errors fail a pipeline, until it asks for more
//!
//! `--deny warnings` and `--deny notes` are for those whose files are clean. Price: a warning may
//! stand for months.
