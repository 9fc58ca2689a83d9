//! Has the linker put together what runs all day: `packaging/layout.ld`, without which all is the same but the memory.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=packaging/layout.ld");
    let elf = var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    let release = var("PROFILE").is_ok_and(|profile| profile == "release");
    // These two read no such script.
    let other = var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("mold") || flags.contains("gold"));
    if let (true, true, false, Ok(here)) = (elf, release, other, var("CARGO_MANIFEST_DIR")) {
        println!("cargo::rustc-link-arg-bin=vigie=-T{here}/packaging/layout.ld");
    }
}
