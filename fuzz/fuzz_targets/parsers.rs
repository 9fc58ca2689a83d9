//! Any text to any parser: the first byte says to which, or `PARSER=meminfo` does.
#![no_main]

#[path = "../../tests/fuzz/parsers.rs"]
mod parsers;

use std::sync::OnceLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use parsers::PARSERS;

fuzz_target!(|data: &[u8]| -> Corpus {
    static ONLY: OnceLock<Option<usize>> = OnceLock::new();
    let only = ONLY.get_or_init(|| {
        let name = std::env::var("PARSER").ok()?;
        Some(PARSERS.iter().position(|(parser, ..)| *parser == name).expect("PARSER names a parser"))
    });
    let Some((choice, text)) = data.split_first() else { return Corpus::Reject };
    let index = only.unwrap_or(usize::from(*choice));
    let Some((_, _, parse)) = PARSERS.get(index) else { return Corpus::Reject };
    parse(&String::from_utf8_lossy(text));
    Corpus::Keep
});
