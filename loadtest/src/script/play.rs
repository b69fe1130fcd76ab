//! Plays a scenario step by step against the real program.
//!
//! A step is over when all that was expected has happened, or its time is up, and then a quiet
//! moment more in which nothing else may happen. The first step that misses ends the scenario: what
//! follows would only follow from it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::compose::{Asked, Composer};
use super::judge;
use super::moment::Zero;
use super::scenario::{Conduct, Reload, Scenario, Sent, Step};
use super::stage::Stage;
use super::switch::{Peer, Process, Site};
use crate::books::message::Message;
use crate::clock::{NS_PER_S, now_ns};
use crate::failure::Failure;

/// What became of a step.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) line: usize,
    pub(crate) what: String,
    /// What was expected and what came instead; nothing if all is well.
    pub(crate) misses: Vec<String>,
    pub(crate) took: Duration,
}

/// Plays a scenario; its steps up to the first that misses.
pub(crate) fn play(scenario: &Scenario, program: &Path) -> Result<Vec<Played>, Failure> {
    let mut player = Player::start(scenario, program)?;
    let mut steps = Vec::new();
    for step in &scenario.steps {
        let from_ns = now_ns();
        let misses = player.step(step)?;
        let took = Duration::from_nanos(now_ns() - from_ns);
        let missed = !misses.is_empty();
        steps.push(Played { line: step.line, what: step.what.clone(), misses, took });
        if missed {
            break;
        }
    }
    Ok(steps)
}

struct Player<'s> {
    scenario: &'s Scenario,
    zero: Zero,
    site: Site,
    stage: Stage,
    process: Process,
    /// Connections of acquirers by their names.
    connections: BTreeMap<(usize, String), usize>,
    composer: Composer,
}

impl<'s> Player<'s> {
    fn start(scenario: &'s Scenario, program: &Path) -> Result<Player<'s>, Failure> {
        let zero = Zero::next();
        let (mut site, peers) = sited(scenario, zero).map_err(Failure::Usage)?;
        let mut stage = Stage::new(&peers).map_err(Failure::Run)?;
        for partner in stage.partners() {
            site.place(&partner.name, partner.address);
        }
        for name in &scenario.setup.down {
            stage.close(stage.party(name).map_err(Failure::Usage)?);
        }
        site.write().map_err(Failure::Run)?;
        let process = Process::start(program, &site, &scenario.setup, &stage.events);
        let process = process.map_err(Failure::Run)?;
        let mut player = Player {
            scenario,
            zero,
            site,
            stage,
            process,
            connections: BTreeMap::new(),
            composer: Composer::default(),
        };
        player.await_ready()?;
        Ok(player)
    }

    /// Waits until the switch listens and all its connections to partners are up.
    fn await_ready(&mut self) -> Result<(), Failure> {
        let until_ns = now_ns() + READY_WITHIN_S * NS_PER_S;
        let is_ready = |stage: &Stage| stage.said.iter().any(|line| line == "ready");
        let down = &self.scenario.setup.down;
        let there = |stage: &Stage| {
            let mut up = stage.partners().filter(|partner| !down.contains(&partner.name));
            up.all(|partner| partner.up >= partner.sessions)
        };
        let process = &mut self.process;
        let mut ended = None;
        let mut looked_ns = 0;
        let ready = self.stage.run(until_ns, |stage| {
            if now_ns() > looked_ns + NS_PER_S / 10 {
                looked_ns = now_ns();
                ended = process.ended();
            }
            ended.is_some() || is_ready(stage) && there(stage)
        });
        if !ready || ended.is_some() {
            let said = self.stage.complaints.join("; ");
            let why = ended.map_or("it is not ready in time".to_owned(), |status| status);
            let file = self.scenario.file.display();
            return Err(Failure::Run(format!("{file}: the switch does not start: {why}: {said}")));
        }
        let listening = self.stage.said.iter().filter(|line| line.starts_with("listening "));
        let addresses = listening.filter_map(|line| line.rsplit(' ').next()?.parse().ok());
        let acquirers = self.stage.parties.iter_mut().filter(|party| !party.is_partner);
        acquirers.zip(addresses).for_each(|(acquirer, address)| acquirer.address = address);
        self.settle()
    }

    /// Lets the switch read the answers to its sign-on: until then no request leaves. What it is
    /// sent afterwards, it answers afterwards; an echo to each worker tells, and some to spare.
    fn settle(&mut self) -> Result<(), Failure> {
        let acquirer = self.stage.parties.iter().position(|party| !party.is_partner);
        let Some(acquirer) = acquirer else { return Ok(()) };
        let tongue = self.stage.parties[acquirer].tongue;
        let echoes = 4 * self.scenario.setup.workers as usize;
        let before = self.stage.heard.len();
        for stan in 1..=echoes {
            let connection = self.stage.call(acquirer).map_err(Failure::Run)?;
            let echo = Message::new(0x0800).with(11, format!("9{stan:05}")).with(70, "301");
            self.stage.write(connection, &tongue.encode(&echo));
        }
        let until_ns = now_ns() + READY_WITHIN_S * NS_PER_S;
        self.stage.run(until_ns, |stage| stage.heard.len() >= before + echoes);
        self.stage.run(now_ns() + SETTLED_AFTER.as_nanos() as u64, |_| false);
        self.stage.heard.truncate(before);
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<Vec<String>, Failure> {
        let start_ns = step.at.map_or(0, |at| self.zero.after(at));
        let start_ns = start_ns.max(now_ns() + step.wait.as_nanos() as u64);
        let mut misses = Vec::new();
        let said_before = self.stage.said.len();
        self.prepare(step)?;
        self.stage.run(start_ns, |_| false);
        let mut reload = step.reload.as_ref();
        if let Some(reload) = reload.take_if(|reload| !reload.midway) {
            let before = self.reload(reload)?;
            misses.extend(self.reloaded(reload, before));
        }
        let mut asked = Vec::new();
        if let Some(sent) = &step.sent {
            let (half, before) = (reload.map(|_| sent.messages / 2), self.stage.said.len());
            asked = self.send(sent, 1..=half.unwrap_or(sent.messages))?;
            if let (Some(half), Some(reload)) = (half, reload) {
                self.reload(reload)?;
                asked.extend(self.send(sent, half + 1..=sent.messages)?);
                misses.extend(self.reloaded(reload, before));
            }
        }
        let patience = step.sent.as_ref().map_or(REACHES_WITHIN, |sent| sent.answer.within);
        let answers = match &step.sent {
            Some(sent) if !sent.answer.none => asked.len(),
            _ => 0,
        };
        let reaches = step.reaches.iter().map(|reach| reach.least as usize).sum::<usize>();
        let mut until_ns = now_ns() + patience.as_nanos() as u64;
        let all = self.stage.run(until_ns, |stage| stage.heard.len() >= answers);
        if all && answers > 0 {
            // What is forwarded is forwarded before it is answered; what is taken back, soon.
            until_ns = until_ns.min(now_ns() + SOON.as_nanos() as u64);
        }
        self.stage.run(until_ns, |stage| stage.reached.len() >= reaches);
        let over_ns = now_ns();
        self.stage.run(over_ns + step.quiet.as_nanos() as u64, |_| false);
        let heard = std::mem::take(&mut self.stage.heard);
        let reached = std::mem::take(&mut self.stage.reached);
        if let Some(sent) = &step.sent {
            misses.extend(judge::answers(&sent.answer, &mut asked, &heard, &self.composer));
        } else if let Some(first) = heard.first() {
            misses.push(format!("an acquirer heard {}", judge::heard(first)));
        }
        misses.extend(judge::reaches(&step.reaches, &asked, &reached, &self.stage.parties));
        if step.by.is_some_and(|by| over_ns > self.zero.after(by)) {
            misses.push("it took too long: what it is to show had to be before its moment".into());
        }
        misses.extend(self.health());
        if !misses.is_empty() {
            let said = self.stage.said.iter().skip(said_before).take(SAID_MAX);
            misses.extend(said.map(|line| format!("the switch said: {line}")));
        }
        if let Some(name) = step.sent.as_ref().and_then(|sent| sent.name.as_ref()) {
            self.composer.remember(name, asked.into_iter().next());
        }
        Ok(misses)
    }

    /// Sets partners up.
    fn prepare(&mut self, step: &Step) -> Result<(), Failure> {
        for party in &mut self.stage.parties {
            let told = step.conducts.iter().find(|(name, _)| *name == party.name);
            party.conduct = told.map_or_else(Conduct::default, |(_, conduct)| conduct.clone());
        }
        for name in &step.down {
            let partner = self.stage.party(name).map_err(Failure::Usage)?;
            self.stage.close(partner);
            self.settle()?;
        }
        for name in &step.up {
            let partner = self.stage.party(name).map_err(Failure::Usage)?;
            self.stage.open(partner).map_err(Failure::Run)?;
            let there = |stage: &Stage| {
                let partner = &stage.parties[partner];
                partner.up >= partner.sessions
            };
            if !self.stage.run(now_ns() + READY_WITHIN_S * NS_PER_S, there) {
                return Err(Failure::Run(format!("the switch does not call {name} again")));
            }
            self.settle()?;
        }
        Ok(())
    }

    /// Writes other files and tells the switch. Returns how much it had said before.
    fn reload(&mut self, reload: &Reload) -> Result<usize, Failure> {
        self.site.change(&reload.changes).map_err(Failure::Usage)?;
        let before = self.stage.said.len();
        self.site.write().map_err(Failure::Run)?;
        self.process.reload().map_err(Failure::Run)?;
        Ok(before)
    }

    /// What the switch says of a reload, unless it is what is expected.
    fn reloaded(&mut self, reload: &Reload, before: usize) -> Option<String> {
        let is_taken =
            |line: &str| line.starts_with("routes ") && line.contains(" in force after ");
        let is_refused = |line: &str| line.starts_with("refused ") && line.contains(" in force");
        let is_same = |line: &str| line.contains(" stays in force: the files say the same");
        let is_it = |line: &&String| is_taken(line) || is_refused(line) || is_same(line);
        let until_ns = now_ns() + READY_WITHIN_S * NS_PER_S;
        self.stage.run(until_ns, |stage| stage.said.iter().skip(before).any(|line| is_it(&line)));
        let line = self.stage.said.iter().skip(before).find(is_it);
        let wanted = if reload.refused { "refused" } else { "in force" };
        match line {
            Some(line) if reload.refused && is_refused(line) => None,
            Some(line) if !reload.refused && is_taken(line) => None,
            Some(line) => Some(format!("expected the files to be {wanted}, came {line:?}")),
            None => Some(format!("expected the files to be {wanted}, nothing was said of them")),
        }
    }

    /// Sends messages of a step, those of these numbers.
    fn send(&mut self, sent: &Sent, numbers: RangeInclusive<u64>) -> Result<Vec<Asked>, Failure> {
        let mut asked = Vec::new();
        let sender = self.stage.party(&sent.sender).map_err(Failure::Usage)?;
        let tongue = self.stage.parties[sender].tongue;
        let mut due_ns = now_ns();
        let so_far = self.stage.heard.len();
        for number in numbers {
            let message = self.composer.compose(&sent.content, number).map_err(Failure::Usage)?;
            let bytes = tongue.encode(&message);
            for copy in 1..=sent.copies {
                let name = match (sent.copies, sent.connections) {
                    (1, 1) => sent.connection.clone(),
                    (1, connections) => format!("{}.{}", sent.connection, number % connections),
                    _ => format!("{}.{copy}", sent.connection),
                };
                let connection = self.connection(sender, name)?;
                let at_ns = now_ns();
                asked.push(Asked { connection, at_ns, message: message.clone(), answer: None });
                self.stage.write(connection, &bytes);
            }
            let total = asked.len();
            match sent.rate {
                Some((first, last)) => {
                    let share = number as f64 / sent.messages as f64;
                    let rate = first * (last / first).powf(share);
                    due_ns += (NS_PER_S as f64 / rate) as u64;
                    self.stage.run(due_ns, |_| false);
                }
                None if (total as u64) < sent.window => {}
                None => {
                    let until_ns = now_ns() + sent.answer.within.as_nanos() as u64;
                    let window = sent.window as usize;
                    self.stage.run(until_ns, |stage| stage.heard.len() + window > total + so_far);
                }
            }
        }
        Ok(asked)
    }

    /// The connection of this name, which an acquirer makes if it has none.
    fn connection(&mut self, sender: usize, name: String) -> Result<usize, Failure> {
        let party = &self.stage.parties[sender];
        if party.is_partner {
            let gone = || Failure::Run(format!("the switch has no connection to {}", party.name));
            return self.stage.last_of(sender).ok_or_else(gone);
        }
        let key = (sender, name);
        if let Some(connection) = self.connections.get(&key) {
            return Ok(*connection);
        }
        let connection = self.stage.call(sender).map_err(Failure::Run)?;
        self.connections.insert(key, connection);
        Ok(connection)
    }

    /// What the switch must never do.
    fn health(&mut self) -> Vec<String> {
        let complaints = std::mem::take(&mut self.stage.complaints);
        let mut misses: Vec<String> =
            complaints.iter().map(|line| format!("the switch complained: {line}")).collect();
        misses.extend(self.process.ended().map(|status| format!("the switch ended: {status}")));
        misses
    }
}

/// Whether the configuration of a scenario can be made and has everybody who is named.
pub(crate) fn check(scenario: &Scenario) -> Result<(), String> {
    sited(scenario, Zero::next()).map(|_| ())
}

fn sited(scenario: &Scenario, zero: Zero) -> Result<(Site, Vec<Peer>), String> {
    let file = scenario.file.display();
    let unusable = |text| format!("{file}: {text}");
    let site = Site::new(&scenario.setup.changes, zero).map_err(unusable)?;
    let peers = site.peers().map_err(unusable)?;
    let is_partner = |name: &&String| peers.iter().any(|it| it.is_partner && it.name == **name);
    let is_anybody = |name: &&String| peers.iter().any(|it| it.name == **name);
    let at = |line: usize, kind: &str, name: &String| {
        format!("{file}:{line}: no {kind} of the configuration is called {name:?}")
    };
    if let Some(name) = scenario.setup.down.iter().find(|name| !is_partner(name)) {
        return Err(at(1, "partner", name));
    }
    for step in &scenario.steps {
        if let Some(name) = step.down.iter().chain(&step.up).find(|name| !is_partner(name)) {
            return Err(at(step.line, "partner", name));
        }
        let conducts = step.conducts.iter().map(|(name, _)| name);
        let mut named = conducts
            .chain(step.reaches.iter().map(|reach| &reach.party))
            .chain(step.sent.iter().map(|sent| &sent.sender));
        if let Some(name) = named.find(|name| !is_anybody(name)) {
            return Err(at(step.line, "partner or acquirer", name));
        }
    }
    Ok((site, peers))
}

/// How long the switch may take to start, to call a partner again, to read its files again.
const READY_WITHIN_S: u64 = 20;

/// How long the switch may take to act upon what it has read.
const SETTLED_AFTER: Duration = Duration::from_millis(20);

/// How long something may take to reach a partner when all answers are there.
const SOON: Duration = Duration::from_secs(2);

/// How much of what the switch said in a step is shown if that misses.
const SAID_MAX: usize = 8;

/// How long something may take to reach a partner in a step in which nothing is sent.
const REACHES_WITHIN: Duration = Duration::from_secs(8);
