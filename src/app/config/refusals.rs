//! `[[refuse]]` of `routes.toml`: what is declined whatever routes say.

use super::codes::decline;
use super::conditions::{Vocabulary, texts};
use super::networks::Networks;
use super::regions::area;
use super::table::Table;
use crate::app::dialect_file::{Log, Span};
use crate::base::codes::ResponseCode;
use crate::routing::build::RefusalPlan;

/// The refusals of a file, and where they stand in it.
pub(super) fn read(
    tables: Vec<Table<'_>>,
    networks: &Networks,
    words: &Vocabulary,
    log: &mut Log<'_>,
) -> (Vec<RefusalPlan>, Vec<Span>) {
    let (mut plans, mut spans): (Vec<RefusalPlan>, Vec<Span>) = (Vec::new(), Vec::new());
    for mut table in tables {
        let (name, span) = table.text("name", log).unwrap_or(("", table.span.clone()));
        if let Some(place) = plans.iter().position(|plan| plan.name == name && !name.is_empty()) {
            let line = spans.get(place).map_or(0, |span| log.line(span));
            log.add(&span, format!("the refusal of line {line} has the same name"));
        }
        let code = table.need("code", log).and_then(|entry| decline(&entry, log));
        let network = |name: &str| networks.id(name);
        plans.push(RefusalPlan {
            name: name.to_owned(),
            code: code.unwrap_or(ResponseCode::NOT_PERMITTED_TERMINAL),
            networks: texts(&mut table, "network", log, network),
            except_networks: texts(&mut table, "except_network", log, network),
            areas: texts(&mut table, "region", log, area),
            except_areas: texts(&mut table, "except_region", log, area),
            condition: words.condition(&mut table, log),
        });
        spans.push(span);
        table.finish(log);
    }
    (plans, spans)
}
