//! `authswitch dialect`: what the shipped dialects are, whether a file is right, what a dialect
//! says, what lies between two of them, and which one a capture is written in.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{Ended, FAILED, USAGE, dialect, explain, infer};
use crate::app::dialect_file::{notation, shipped_names};
use crate::app::dialects;
use crate::base::limits;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::transcode::{Loss, Transcoder};

/// Look at dialects: list, lint, explain, diff, infer.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the shipped dialects.
    List,
    /// Load dialects and report every mistake with its file and line.
    Lint {
        /// Shipped dialects or TOML files.
        #[arg(value_name = "NAME|FILE", required = true)]
        dialects: Vec<String>,
    },
    /// Show what a dialect says, as a table.
    Explain {
        /// A shipped dialect or a TOML file.
        #[arg(value_name = "NAME|FILE")]
        dialect: String,
        /// One data element only, with all there is to say.
        #[arg(value_name = "DE")]
        element: Option<u8>,
    },
    /// Compare two dialects, and say what is lost on the way from A to B.
    Diff {
        /// From.
        #[arg(value_name = "A")]
        from: String,
        /// To.
        #[arg(value_name = "B")]
        to: String,
    },
    /// Find the dialect, header and framing that messages are written in.
    ///
    /// The exit code is 1 if none decodes all of them and writes the same bytes again.
    Infer {
        /// Messages as hex; without any, one per line from standard input.
        hex: Vec<String>,
    },
}

/// Runs the command.
pub(super) fn run(command: &Command) -> Ended {
    match command {
        Command::List => list(),
        Command::Lint { dialects } => lint(dialects),
        Command::Explain { dialect: name, element } => match dialect(name) {
            Ok(dialect) => explain::run(&dialect, *element),
            Err(code) => Ok(code),
        },
        Command::Diff { from, to } => match (dialect(from), dialect(to)) {
            (Ok(from), Ok(to)) => diff(&from, &to),
            (Err(code), _) | (_, Err(code)) => Ok(code),
        },
        Command::Infer { hex } => infer::run(hex),
    }
}

fn list() -> Ended {
    let mut out = io::stdout().lock();
    for name in shipped_names() {
        let about = dialects::load(name).map_or_else(
            |mistakes| format!("has {} mistakes: see dialect lint", mistakes.len()),
            |dialect| dialect.spec.about.clone(),
        );
        writeln!(out, "{name:<26} {about}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// An unknown name is a mistake of the call; anything else is one of the file.
fn lint(names: &[String]) -> Ended {
    let mut out = io::stdout().lock();
    let mut code = 0;
    for name in names {
        match dialects::load(name) {
            Ok(dialect) => {
                let (elements, vectors) = (dialect.spec.fields.len(), dialect.spec.vectors.len());
                writeln!(out, "{name}: sound, {elements} elements, {vectors} vectors carried")?;
            }
            Err(mistakes) => {
                for mistake in &mistakes {
                    code = code.max(if mistake.line == 0 { USAGE } else { FAILED });
                    writeln!(out, "{mistake}")?;
                }
            }
        }
    }
    Ok(ExitCode::from(code))
}

fn diff(from: &Dialect, to: &Dialect) -> Ended {
    let mut out = io::stdout().lock();
    let mut same = 0;
    writeln!(out, "     {:<36} {}", from.name(), to.name())?;
    for (what, a, b) in outside_elements(from, to) {
        if a != b {
            writeln!(out, "{what:<4} {a:<36} {b}")?;
        }
    }
    for element in 2..=limits::ELEMENTS_MAX as u8 {
        let one = |dialect: &Dialect| dialect.spec.fields.get(&element).map(notation);
        let (a, b) = (one(from), one(to));
        if a == b && from.field(element) == to.field(element) {
            same += usize::from(a.is_some());
            continue;
        }
        let (mut a, mut b) = (a.unwrap_or("-".into()), b.unwrap_or("-".into()));
        if a == b {
            (a, b) = (explain::rest(from, element), explain::rest(to, element));
        }
        writeln!(out, "{element:<4} {a:<36} {b}")?;
    }
    writeln!(out, "{same} elements are the same")?;
    let losses = Transcoder::compile(from, to).losses;
    if losses.is_empty() {
        writeln!(out, "\nnothing is lost from {} to {}", from.name(), to.name())?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "\nlost from {} to {}:", from.name(), to.name())?;
    let mut reasons: Vec<&str> = Vec::new();
    for Loss { always, why, .. } in &losses {
        if !*always && !reasons.contains(&&**why) {
            reasons.push(why);
        }
    }
    let lost = |always, why: Option<&str>| -> Vec<u8> {
        let of = |loss: &&Loss| loss.always == always && why.is_none_or(|why| why == loss.why);
        losses.iter().filter(of).map(|loss| loss.element).collect()
    };
    elements(&mut out, "always, the other side has no such element", &lost(true, None))?;
    for why in reasons {
        elements(&mut out, &format!("at times, {why}"), &lost(false, Some(why)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One reason and the elements it holds for, in lines of 80 columns.
fn elements(out: &mut impl Write, why: &str, elements: &[u8]) -> io::Result<()> {
    if elements.is_empty() {
        return Ok(());
    }
    writeln!(out, "  {why}:")?;
    for line in elements.chunks(15) {
        let numbers: Vec<String> = line.iter().map(ToString::to_string).collect();
        writeln!(out, "    DE {}", numbers.join(", "))?;
    }
    Ok(())
}

/// What is said once per dialect: row name, and how each side says it.
fn outside_elements(from: &Dialect, to: &Dialect) -> [(&'static str, String, String); 6] {
    let (a, b) = (&from.spec, &to.spec);
    let both = |what, one: fn(&crate::iso8583::spec::Spec) -> String| (what, one(a), one(b));
    [
        both("len", |spec| explain::framing(&spec.framing)),
        both("head", |spec| explain::header(&spec.header)),
        both("MTI", |spec| explain::wire(spec.mti).to_owned()),
        both("map", explain::bitmap),
        both("code", explain::scanned),
        both("text", |spec| format!("{:?}, {:?}", spec.charset, spec.code_page)),
    ]
}
