//! Decisions about policy: the engine, its time, its facts.
//!
//! # Cedar, in the process
//!
//! Policies are readable, typed, and can be analysed; a verdict is a function call. Price: 66
//! crates that nothing else brings, and a parser generator at build time. Alternatives: Rego by a
//! sidecar or by WASM (another language, no types), or rules in TOML (soon a language of our own,
//! without analysis).
//!
//! # Indexed by scope
//!
//! A policy whose head names one scope is asked only for that scope. Measured: a flat set of 10,000
//! policies takes 26 ms a verdict, an indexed one 14 to 17 us. Price: a policy that names no scope
//! is asked for every question, and policies must say the scope in the head to be cheap.
//!
//! # Approvals are facts; the engine is pure
//!
//! The same function is asked at the request and at every mint, with the facts of that moment.
//! Nothing is kept from one verdict to the next. Price: a verdict at each renewal. What it buys: a
//! stricter policy ends open elevations within one SVID life, and the ledger suffices to derive a
//! verdict again.
//!
//! # Time is cut to minutes
//!
//! A policy sees the minute, not the second. So a verdict can change only where a minute begins or
//! a signal ends, and the last second at which it holds is found by asking at those turns. Price: a
//! rule cannot say half past plus ten seconds. Alternative: analyse conditions for their times, and
//! be wrong once.
//!
//! # The principal is the subject, whoever asks
//!
//! An agent, a person or the workload itself may ask; the right is judged for who would hold it.
//! `context.asked_by` says who asked, as one of four: subject, deputy, operator, stranger.
//! Strangers are refused by a guardrail. Price: a rule about one certain asker cannot be written.
//!
//! # Annotations are checked by supposing, not by reading
//!
//! `@route("sre:2")` must say what the condition says. The check supposes exactly these approvals,
//! then one fewer, then plenty, folds the condition, and sees whether it turned. Price: approvals
//! must be read as `hasTag` and `getTag` with a literal name; anything cleverer is refused as
//! opaque.
//!
//! # A dead source helps nobody
//!
//! The same folding tries a signal without source. A forbid that would fall silent, or a permit
//! that would stand, is a fault of the bundle. And a forbid that fails to evaluate forbids.
//!
//! # Operators are counted before Cedar reads
//!
//! Cedar's JSON form recurses without watching the stack: a chain of `||` in an activated bundle
//! ended the process. So each policy may hold 512 operators, counted in the text, and compiling
//! runs on a stack of 64 MiB (measured at 20 KiB a level unoptimised, doubled twice). Price: a long
//! policy must be split. Alternative: a thread for each compilation, with the same stack.
//!
//! # Facts are made by the store alone, and a text rule guards it
//!
//! `Facts::observed` must be public, because the store is another room. A test of the text refuses
//! any other caller: `tidy::guarded_values_have_one_maker`. Price: the compiler does not say it.
//! Alternative: the store below policy, or the type in the store; either ties the crafts together.
//!
//! # What is supposed has another type
//!
//! `suppose` gives an [`Outlook`](crate::policy::Outlook), from made-up facts if one likes. No
//! function takes one where a [`Permit`](crate::policy::Permit) is wanted. Explain, dry runs and a
//! bundle's tests use it, so they run the engine itself.
//!
//! # Schema and guardrails are compiled in
//!
//! A bundle cannot loosen them, and their digest stands beside the bundle's in every verdict.
//! Price: a new word for policies is a new version of protem.
//!
//! # A bundle is activated, never watched
//!
//! Content, version and author are one event. A directory that is watched has no author. Its own
//! tests run before it is stored. Price: one command more.
//!
//! # Twice the words `Ticket` and `WaitsFor`
//!
//! `elevation` and `policy` are crafts that do not know each other, and both speak of tickets and
//! of approvals that are waited for. Each has its own small type; the walk converts. Price: one
//! grammar written twice. Alternative: a shared room below, which grows.
//!
//! # Policy reads no free text
//!
//! It sees that there is a reason, not the reason. So a text can be erased later and every verdict
//! can still be derived. Price: no rule about words.
