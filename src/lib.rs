//! protem mints minutes-long SPIFFE X.509 SVIDs. A right is a scope in the certificate's SAN.
