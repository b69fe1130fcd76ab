//! Network x area -> routes and refusals: every fallback resolved into one dense array.
//!
//! Most cells hold one route. Where conditions decide among several, a cell names a chain: the
//! routes to try, most specific network and area first, in the order of the file within each, up to
//! the first that asks for nothing. Equal chains are kept once, and so are lists of refusals.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{Conflict, NetworkPlan, RefusalPlan, RoutePlan, way};
use super::condition::{Case, Condition, Refusal};
use super::merchants::NetworkSet;
use super::route::Route;
use crate::base::ids::{Area, NetworkId, Region};

/// The array, and what its cells name.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// Parts of regions that routes or refusals name, sorted: the columns behind the regions.
    parts: Vec<Area>,
    /// `(networks + 1) x columns`; the last row is for no known network.
    cells: Vec<Cell>,
    chains: Vec<Box<[u16]>>,
    /// The first is empty.
    refusals: Vec<Box<[u16]>>,
}

/// What holds for one network in one area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    /// A place among the routes, [`CHAIN`] and a place among the chains, or [`NO_ROUTE`].
    route: u16,
    /// A place in `refusals`.
    refusals: u16,
}

impl Cells {
    /// One route for everything.
    pub(super) fn single() -> Self {
        let cells = vec![Cell { route: 0, refusals: 0 }; REGION_CELLS];
        Self { cells, refusals: vec![Box::default()], ..Self::default() }
    }

    /// The cells of a plan.
    pub(super) fn build(
        networks: &[NetworkPlan],
        routes: &[RoutePlan],
        refusals: &[RefusalPlan],
        conflicts: &mut Vec<Conflict>,
    ) -> Self {
        let mut parts: Vec<Area> = routes.iter().flat_map(|route| route.areas.clone()).collect();
        let named = |refusal: &RefusalPlan| {
            refusal.areas.iter().chain(&refusal.except_areas).copied().collect::<Vec<_>>()
        };
        parts.extend(refusals.iter().flat_map(named));
        parts.retain(|area| !area.is_whole());
        parts.sort_unstable();
        parts.dedup();
        let mut cells = Self { parts, ..Self::default() };
        if cells.parts.len() > PARTS_MAX {
            conflicts.push(Conflict::Parts);
            return cells;
        }
        cells.fill_routes(networks, routes, conflicts);
        cells.fill_refusals(networks, refusals, conflicts);
        cells
    }

    /// The column of an area: of its part if a route or refusal names that one, else of its region.
    pub(super) fn column(&self, area: Option<Area>) -> u16 {
        let Some(area) = area else { return (REGION_CELLS - 1) as u16 };
        match self.parts.binary_search(&area) {
            Ok(place) => (REGION_CELLS + place) as u16,
            Err(_) => region_cell(area.region) as u16,
        }
    }

    /// What holds for a row in a column.
    pub(super) fn cell(&self, row: usize, column: u16) -> Option<Cell> {
        self.cells.get(row * self.columns() + usize::from(column)).copied()
    }

    /// The first refusal of the cell whose condition holds; its place.
    #[inline]
    pub(super) fn refusal(
        &self,
        cell: Cell,
        all: &[Refusal],
        case: impl FnOnce() -> Case,
    ) -> Option<u16> {
        if cell.refusals == 0 {
            return None;
        }
        let case = &case();
        let list = self.refusals.get(usize::from(cell.refusals))?;
        let holds = |place: &&u16| {
            all.get(usize::from(**place)).is_some_and(|refusal| refusal.condition.holds(case))
        };
        list.iter().find(holds).copied()
    }

    /// The first route of the cell whose condition holds; its place.
    #[inline]
    pub(super) fn route(
        &self,
        cell: Cell,
        all: &[Route],
        case: impl FnOnce() -> Case,
    ) -> Option<u16> {
        if cell.route & CHAIN == 0 {
            return Some(cell.route);
        }
        let case = &case();
        let chain = self.chains.get(usize::from(cell.route & !CHAIN))?;
        let holds = |place: &&u16| {
            let condition = all.get(usize::from(**place)).map(|route| route.condition.as_deref());
            condition.is_some_and(|asked| asked.is_none_or(|condition| condition.holds(case)))
        };
        chain.iter().find(holds).copied()
    }

    /// The refusals and the routes of a cell, in the order in which they are asked.
    pub(super) fn listed(&self, cell: Cell) -> (&[u16], Vec<u16>) {
        let refusals = self.refusals.get(usize::from(cell.refusals)).map_or(&[][..], |list| list);
        let routes = match cell.route {
            NO_ROUTE => Vec::new(),
            place if place & CHAIN == 0 => vec![place],
            place => {
                let chain = self.chains.get(usize::from(place & !CHAIN));
                chain.map_or(Vec::new(), |chain| chain.to_vec())
            }
        };
        (refusals, routes)
    }

    /// True if some area of the row has a route.
    pub(super) fn serves(&self, row: usize) -> bool {
        let cells = self.cells.chunks_exact(self.columns()).nth(row);
        cells.is_some_and(|cells| cells.iter().any(|cell| cell.route != NO_ROUTE))
    }

    fn columns(&self) -> usize {
        REGION_CELLS + self.parts.len()
    }

    fn fill_routes(
        &mut self,
        networks: &[NetworkPlan],
        routes: &[RoutePlan],
        conflicts: &mut Vec<Conflict>,
    ) {
        let any_network = networks.len();
        let mut said: BTreeMap<(usize, u16), Vec<u16>> = BTreeMap::new();
        for (place, route) in routes.iter().enumerate() {
            if conflicts.len() > CONFLICTS_MAX {
                return;
            }
            for network in or_any(&route.networks) {
                for area in or_any(&route.areas) {
                    let row = network.map_or(any_network, |id| usize::from(id.0));
                    let column = area.map_or(ANYWHERE, |area| self.column(Some(area)));
                    let cell = said.entry((row, column)).or_default();
                    match cell.iter().find(|other| hides(routes, **other, &route.condition)) {
                        Some(first) => conflicts.push(Conflict::SameRoute {
                            first: usize::from(*first),
                            second: place,
                            network,
                            area,
                        }),
                        None if cell.len() == CELL_ROUTES_MAX => {
                            conflicts.push(Conflict::Crowded { route: place });
                        }
                        None => cell.push(place as u16),
                    }
                }
            }
        }
        let mut known: BTreeMap<Vec<u16>, u16> = BTreeMap::new();
        for row in 0..=any_network {
            let mut rows: Vec<usize> = if row < any_network {
                way(networks, row).iter().map(|id| usize::from(id.0)).collect()
            } else {
                Vec::new()
            };
            rows.push(any_network);
            for column in 0..self.columns() as u16 {
                let wider = self.wider(column);
                let levels = rows.iter().flat_map(|row| wider.map(|column| (*row, column)));
                let listed = levels.filter_map(|level| said.get(&level)).flatten();
                let chain = until_unconditional(listed.copied(), routes);
                let route = self.chain(chain, routes, &mut known, conflicts);
                self.cells.push(Cell { route, refusals: 0 });
            }
        }
    }

    /// A column with those it is part of: its region, and anywhere.
    fn wider(&self, column: u16) -> [u16; 3] {
        let part = usize::from(column).checked_sub(REGION_CELLS);
        let part = part.and_then(|place| self.parts.get(place));
        let region = part.map_or(ANYWHERE, |area| region_cell(area.region) as u16);
        [column, region, ANYWHERE]
    }

    fn chain(
        &mut self,
        chain: Vec<u16>,
        routes: &[RoutePlan],
        known: &mut BTreeMap<Vec<u16>, u16>,
        conflicts: &mut Vec<Conflict>,
    ) -> u16 {
        match chain.as_slice() {
            [] => return NO_ROUTE,
            [place] if is_unconditional(routes, *place) => return *place,
            _ => {}
        }
        if let Some(place) = known.get(&chain) {
            return CHAIN | *place;
        }
        let place = self.chains.len() as u16;
        if place >= NO_ROUTE & !CHAIN {
            conflicts.push(Conflict::Routes);
            return NO_ROUTE;
        }
        self.chains.push(chain.clone().into_boxed_slice());
        known.insert(chain, place);
        CHAIN | place
    }

    fn fill_refusals(
        &mut self,
        networks: &[NetworkPlan],
        refusals: &[RefusalPlan],
        conflicts: &mut Vec<Conflict>,
    ) {
        let columns = self.columns();
        let places: Vec<Vec<bool>> = refusals.iter().map(|refusal| self.places(refusal)).collect();
        self.refusals.push(Box::default());
        let mut known: BTreeMap<Vec<u16>, u16> = BTreeMap::from([(Vec::new(), 0)]);
        for row in 0..=networks.len() {
            let ways = if row < networks.len() { way(networks, row) } else { Vec::new() };
            let ways = ways.iter().take(networks.len());
            let names = ways.fold(NetworkSet::default(), |set, id| set.with(*id));
            let concerned: Vec<bool> =
                refusals.iter().map(|refusal| concerns(refusal, names)).collect();
            for column in 0..columns {
                let is_here = |places: &Vec<bool>| places.get(column).is_some_and(|here| *here);
                let list = (0..).zip(&places).zip(&concerned);
                let list = list.filter(|((_, places), concerned)| **concerned && is_here(places));
                let list: Vec<u16> = list.map(|((place, _), _)| place).collect();
                let place = match known.get(&list) {
                    Some(place) => *place,
                    None => {
                        let Ok(place) = u16::try_from(self.refusals.len()) else {
                            return conflicts.push(Conflict::Refusals);
                        };
                        self.refusals.push(list.clone().into_boxed_slice());
                        known.insert(list, place);
                        place
                    }
                };
                if let Some(cell) = self.cells.get_mut(row * columns + column) {
                    cell.refusals = place;
                }
            }
        }
    }

    /// For each column, whether the refusal is about it.
    fn places(&self, refusal: &RefusalPlan) -> Vec<bool> {
        let columns = |areas: &[Area]| -> Vec<u16> {
            areas.iter().map(|area| self.column(Some(*area))).collect()
        };
        let (areas, except_areas) = (columns(&refusal.areas), columns(&refusal.except_areas));
        let place = |column: u16| {
            let wider = self.wider(column);
            let lists = |columns: &[u16]| wider.iter().any(|column| columns.contains(column));
            (areas.is_empty() || lists(&areas)) && !lists(&except_areas)
        };
        (0..self.columns() as u16).map(place).collect()
    }
}

/// True if the network of these names, its own and those of the networks it rides on, is one that
/// the refusal is about.
fn concerns(refusal: &RefusalPlan, names: NetworkSet) -> bool {
    let named = |networks: &[NetworkId]| networks.iter().any(|id| names.contains(*id));
    (refusal.networks.is_empty() || named(&refusal.networks)) && !named(&refusal.except_networks)
}

/// True if no request comes past the route `place` to one with `condition` behind it, as far as can
/// be said for certain: it takes all, or the same.
fn hides(routes: &[RoutePlan], place: u16, condition: &Condition) -> bool {
    let other = routes.get(usize::from(place));
    other.is_some_and(|other| other.condition.is_always() || other.condition == *condition)
}

fn is_unconditional(routes: &[RoutePlan], place: u16) -> bool {
    routes.get(usize::from(place)).is_some_and(|route| route.condition.is_always())
}

fn until_unconditional(places: impl Iterator<Item = u16>, routes: &[RoutePlan]) -> Vec<u16> {
    let (mut chain, mut seen) = (Vec::new(), BTreeSet::new());
    for place in places {
        if seen.insert(place) {
            chain.push(place);
        }
        if is_unconditional(routes, place) {
            break;
        }
    }
    chain
}

fn or_any<T: Copy>(listed: &[T]) -> Vec<Option<T>> {
    if listed.is_empty() { vec![None] } else { listed.iter().copied().map(Some).collect() }
}

/// The column of a region: AA is 0, ZZ is 675; of what is no region, the one for none.
fn region_cell(region: Region) -> usize {
    match region.0 {
        [first @ b'A'..=b'Z', second @ b'A'..=b'Z'] => {
            usize::from(first - b'A') * 26 + usize::from(second - b'A')
        }
        _ => REGION_CELLS - 1,
    }
}

/// Columns for whole regions: every pair of letters, and none. With 4 bytes a cell a row is
/// 2.6 KiB, of which a running switch touches the few regions it has merchants in.
const REGION_CELLS: usize = 26 * 26 + 1;

/// Parts of regions that routes and refusals may name.
pub(super) const PARTS_MAX: usize = 2048;

/// What holds wherever the merchant is: no column, only said by routes.
const ANYWHERE: u16 = u16::MAX;

/// Marks the place of a chain.
const CHAIN: u16 = 1 << 15;

/// A cell without a route. As the place of a chain it leads to none.
const NO_ROUTE: u16 = u16::MAX;

/// Who made so many mistakes made one.
const CONFLICTS_MAX: usize = 1000;

/// Routes for one network and area, of which the first whose condition holds is taken.
pub(super) const CELL_ROUTES_MAX: usize = 256;

/// Routes of one table.
pub const ROUTES_MAX: usize = CHAIN as usize;

const _: () = assert!(REGION_CELLS + PARTS_MAX < ANYWHERE as usize);
