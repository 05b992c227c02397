//! How the module is linked.
//!
//! Promises: once loaded it stays (`nodelete`), because its thread runs on when Envoy lets the last
//! configuration go; an Envoy that lacks one of the callbacks refuses to load it (`now`), where
//! lazy binding would end the process at the first cut.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete,-z,now");
}
