//! Decisions about certificates: their bytes, keys, names and lives.
//!
//! # The builder is given a key that signs nothing
//!
//! rcgen builds and signs in one call. Our promise is that bytes are durable before they are
//! signed. So rcgen gets a stand-in key whose signature is empty, and the to-be-signed part is cut
//! out of what it builds. The real key signs those bytes after they are recorded.
//!
//! Price: one DER walk, and the certificate is put together by us. Alternative: write the
//! to-be-signed part with `der` ourselves, some per cent faster, and own every encoding rule.
//!
//! # Other code reads what was built
//!
//! `x509` reads with x509-cert, `pki` builds with rcgen. The lint compares the bytes with an
//! independent statement of what is meant, before they are recorded; after the signature they are
//! compared again.
//!
//! Price: about 4 us for each reading, and a second list of all fields. Alternative: trust the
//! builder.
//!
//! # Issuers are verified with p256; of leaves, one in 32 with aws-lc-rs
//!
//! What is signed is parsed again and compared byte for byte with what was recorded, always. For
//! root and intermediates, of which there are a few a day, the signature is verified by the `p256`
//! crate, so that one fault in one library cannot both make and bless it. For SVIDs it is verified
//! by aws-lc-rs: the first of each key and one in 32 thereafter where the issuer's key is ECDSA,
//! each where it is RSA or Ed25519. The difference is what a fault of the machine would give away:
//! one wrong RSA or deterministic signature can give the key; ECDSA draws a new nonce each time,
//! and a wrong signature is refused by everybody who is shown it and tells nothing.
//!
//! Price: up to 31 certificates that nobody accepts before a failing processor is noticed. Price
//! of the alternative: a verification takes twice as long as the signature, and an issuance has
//! one already, for the request. With a second one a server reaches at most 0.6 of the bound of
//! `tests/bench`, before it has done anything else.

//! # The evidence extension has an identifier cut into small numbers
//!
//! The design says `2.25.<uuid>`. That is one number of 128 bits. Go's `crypto/x509` refuses the
//! whole certificate for it ("malformed extension OID field", measured with Go 1.27), because it
//! reads numbers of at most 31 bits, and neither x509-cert nor rcgen holds one. So the UUID is cut
//! into arcs below 2^24 under an arc that its owner gives away for such use. A test keeps the
//! reason: `certificates::an_identifier_of_128_bits_is_refused_which_is_why_ours_is_cut`.
//!
//! Price: a longer identifier. Alternative: a number of our own from a registry, later, with both
//! read for a while.
//!
//! # The log index is written into finished bytes
//!
//! An elevated SVID names the event that activated it. That number exists only inside the
//! transaction that records the bytes. So every field of the evidence has a fixed width, the plan
//! says where the index stands, and the store overwrites eight bytes.
//!
//! Price: the store changes bytes that it does not understand; it refuses where the place does not
//! fit. Alternative: give numbers before the transaction and live with gaps. Gaps are what an
//! auditor looks for.
//!
//! # Leaves have an empty subject and critical names
//!
//! A subject is one more place where a name could stand and be matched. RFC 5280 then asks for a
//! critical SAN, and the lint checks that the two go together.
//!
//! Price: tools that show the subject show nothing. Alternative: repeat the SPIFFE ID in a common
//! name, and have two truths.
//!
//! # The elevated intermediate always permits `scope.<td>`
//!
//! Policy may start to use the `dns` encoding at any hour; the intermediate was made up to a day
//! before.
//!
//! Price: the elevated issuer's key could mint DNS names below `scope.<td>` where nobody uses them.
//! Alternative: a new intermediate at each such activation, which ties policy to keys.
//!
//! # No constraint on URI names, ever
//!
//! rustls-webpki from 0.103.12 and Python's cryptography refuse every SPIFFE leaf below such a
//! constraint (measured); earlier webpki and GnuTLS let foreign trust domains through it. Base and
//! elevated are kept apart by two issuers, and the base issuer excludes all DNS names and
//! addresses.
//!
//! Price: the constraint that one would wish for is not there. A brought chain with one is refused
//! at start, rather than at the first handshake.
//!
//! # The client anchor is the own root or the brought issuer
//!
//! With a brought issuer the root is the mesh's, and others sign under it. A client of protem must
//! have been minted by protem, so its certificate must lead to the brought issuer, and it must bear
//! the signature of a base or elevated issuer that this authority holds: the brought issuer may
//! sign for others too. Three generations are held, which outlives every leaf.
//!
//! Price: after the issuer is exchanged, SVIDs under the old one no longer open protem's own door.
//! Alternative: anchor at the mesh's root and trust every certificate authority below it with
//! names.
//!
//! # One second less
//!
//! A certificate is valid through its last second. A right that ends at 12:00:00 gets notAfter
//! 11:59:59, and so does each cap. Lives count from now; notBefore is 30 s back, because validators
//! allow no skew.
//!
//! # The key is on disk before its certificate is recorded
//!
//! For issuers. A crash in between can then be finished. Price: a start may find a key without
//! certificate, and removes it.
//!
//! # Serial numbers have one byte of the server and 128 random bits
//!
//! 17 bytes are more than the 64 random bits that the forum of browsers asks for, within the 20
//! octets of RFC 5280, and two servers of one issuer never meet. The store refuses a serial that
//! was used.
//!
//! # Profiles are files, their law is code
//!
//! A profile may shorten lives and narrow keys. It cannot exceed the ceilings, give a leaf the
//! right to sign, or an issuer the right to serve. Price: an unusual wish needs a new version of
//! protem.
//!
//! # A request's other wishes are ignored, not refused
//!
//! Every openssl puts a subject into its requests. So the default takes the key and says what it
//! ignored; `strict_csr = true` refuses. Malformed requests are refused either way, because a
//! request that two parsers read differently is an attack even where nothing comes of it.
