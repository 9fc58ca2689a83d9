//! What vigie costs.
fn main() {}
