//! The `authswitch` command.
fn main() {}
