//! A switch with one acquirer and partners, and what is needed to talk to it.

use std::sync::Arc;
use std::time::Duration;

use authswitch::app::dialect_file;
use authswitch::base::ids::{LinkId, SessionId};
use authswitch::base::time::{Instant, Now, Wall};
use authswitch::iso8583::bitmap::Bitmap;
use authswitch::iso8583::decode::Index;
use authswitch::iso8583::dialect::Dialect;
use authswitch::iso8583::encode::{Composer, template_header};
use authswitch::iso8583::frame::{self, Cut};
use authswitch::iso8583::message::Message;
use authswitch::iso8583::mti::Mti;
use authswitch::iso8583::value;
use authswitch::routing::RouteTable;
use authswitch::switch::{Command, Counter, Event, LinkSetup, Outbox, Role, Setup, Switch};

pub(crate) const ACQUIRER: LinkId = LinkId(0);
pub(crate) const PARTNER: LinkId = LinkId(1);
pub(crate) const POS: SessionId = SessionId { slot: 0, generation: 1 };
pub(crate) const POS_2: SessionId = SessionId { slot: 2, generation: 1 };
pub(crate) const HOST: SessionId = SessionId { slot: 1, generation: 1 };
pub(crate) const BUDGET: Duration = Duration::from_millis(1500);

/// A message as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) mti: String,
    pub(crate) fields: Vec<(u8, String)>,
}

impl Plain {
    pub(crate) fn of(&self, element: u8) -> Option<&str> {
        self.fields.iter().find(|(e, _)| *e == element).map(|(_, value)| value.as_str())
    }

    /// DE 39.
    pub(crate) fn code(&self) -> &str {
        self.of(39).unwrap_or("none")
    }

    pub(crate) fn with(mut self, element: u8, value: &str) -> Self {
        self = self.without(element);
        self.fields.push((element, value.into()));
        self.fields.sort_by_key(|(e, _)| *e);
        self
    }

    pub(crate) fn without(mut self, element: u8) -> Self {
        self.fields.retain(|(e, _)| *e != element);
        self
    }

    pub(crate) fn typed(self, mti: &str) -> Self {
        Self { mti: mti.into(), ..self }
    }
}

pub(crate) struct Rig {
    pub(crate) switch: Switch,
    pub(crate) outbox: Outbox,
    pub(crate) now: Now,
    pub(crate) acquirer: Arc<Dialect>,
    pub(crate) partner: Arc<Dialect>,
}

pub(crate) fn dialect(name: &str) -> Arc<Dialect> {
    let spec = dialect_file::load(name, None).expect("shipped dialects load");
    Arc::new(Dialect::compile(spec))
}

impl Rig {
    /// One acquirer and one partner that both speak `pos-bcd`, all connected.
    pub(crate) fn new() -> Self {
        Self::with("pos-bcd", "pos-bcd", |_| ())
    }

    pub(crate) fn with(acquirer: &str, partner: &str, change: impl FnOnce(&mut Setup)) -> Self {
        let mut rig = Self::closed(acquirer, partner, change);
        rig.open(POS, ACQUIRER);
        rig.open(HOST, PARTNER);
        rig.open(POS_2, ACQUIRER);
        rig
    }

    /// The same without connections.
    pub(crate) fn closed(acquirer: &str, partner: &str, change: impl FnOnce(&mut Setup)) -> Self {
        let (acquirer, partner) = (dialect(acquirer), dialect(partner));
        let link = |name: &str, role, dialect: &Arc<Dialect>| LinkSetup {
            name: name.into(),
            role,
            dialect: Arc::clone(dialect),
            ..LinkSetup::default()
        };
        let mut setup = Setup {
            links: vec![
                link("acquirer", Role::Acquirer, &acquirer),
                link("partner", Role::Partner, &partner),
            ],
            ..Setup::new(Arc::new(RouteTable::single(vec![PARTNER], BUDGET)))
        };
        change(&mut setup);
        let now = Now { instant: Instant::from_ns(1), wall: Wall::from_unix_s(1_795_313_565) };
        Self { switch: Switch::new(setup), outbox: Outbox::default(), now, acquirer, partner }
    }

    pub(crate) fn open(&mut self, session: SessionId, link: LinkId) {
        self.feed(Event::Opened { session, link, shared: false });
    }

    pub(crate) fn feed(&mut self, event: Event<'_>) -> usize {
        self.switch.handle(self.now, event, &mut self.outbox)
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now.instant = self.now.instant.after(time);
        if self.switch.next_deadline().is_some_and(|deadline| deadline <= self.now.instant) {
            self.feed(Event::Deadline);
        }
    }

    pub(crate) fn send(&mut self, session: SessionId, bytes: &[u8]) -> usize {
        self.feed(Event::Received { session, bytes })
    }

    /// What was put into the lane of `session` since the last look.
    pub(crate) fn bytes(&mut self, session: SessionId) -> Vec<u8> {
        let bytes = self.outbox.unwritten(session).to_vec();
        self.outbox.wrote(session, bytes.len());
        while self.outbox.next_dirty().is_some() {}
        bytes
    }

    pub(crate) fn at_pos(&mut self) -> Vec<Plain> {
        let bytes = self.bytes(POS);
        plain(&self.acquirer.clone(), &bytes)
    }

    pub(crate) fn at_host(&mut self) -> Vec<Plain> {
        let bytes = self.bytes(HOST);
        plain(&self.partner.clone(), &bytes)
    }

    pub(crate) fn closes(&mut self) -> Vec<SessionId> {
        let closed = |command: Command| match command {
            Command::Close { session, .. } => Some(session),
            Command::Share { .. } | Command::Note { .. } => None,
        };
        self.outbox.commands.drain(..).filter_map(closed).collect()
    }

    pub(crate) fn count(&self, counter: Counter) -> u64 {
        self.switch.stats().of(counter)
    }

    /// A request from the POS, or from one of its other connections.
    pub(crate) fn ask(&mut self, session: SessionId, request: &Plain) {
        let frame = framed(&self.acquirer, request);
        assert_eq!(self.send(session, &frame), frame.len());
    }

    /// Whatever the partner says.
    pub(crate) fn say(&mut self, message: &Plain) {
        let frame = framed(&self.partner, message);
        assert_eq!(self.send(HOST, &frame), frame.len());
    }

    /// The same, on another worker's connection.
    pub(crate) fn relayed(&mut self, message: &Plain) {
        let bytes = framed(&self.partner, message);
        assert_eq!(self.feed(Event::Relayed { link: PARTNER, bytes: &bytes }), bytes.len());
    }

    /// What came to an acquirer's connection.
    pub(crate) fn at(&mut self, session: SessionId) -> Vec<Plain> {
        let bytes = self.bytes(session);
        plain(&self.acquirer.clone(), &bytes)
    }

    /// Lets time pass as the shell does: each deadline is fed when it comes.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now.instant.after(time);
        while let Some(next) = self.switch.next_deadline().filter(|next| *next <= end) {
            self.now.instant = self.now.instant.max(next);
            self.feed(Event::Deadline);
        }
        self.now.instant = end;
    }

    /// A sale from the POS; answers what the host saw.
    pub(crate) fn sale(&mut self, stan: u32) -> Plain {
        let frame = framed(&self.acquirer, &sale(stan));
        assert_eq!(self.send(POS, &frame), frame.len());
        self.at_host().pop().expect("forwarded")
    }

    pub(crate) fn answer(&mut self, request: &Plain, code: &str) {
        let answer = answer_to(request, code);
        let frame = framed(&self.partner, &answer);
        assert_eq!(self.send(HOST, &frame), frame.len());
    }
}

pub(crate) fn sale(stan: u32) -> Plain {
    let field = |element: u8, value: &str| (element, value.to_owned());
    Plain {
        mti: "0200".into(),
        fields: vec![
            field(2, "4761340000000019"),
            field(3, "000000"),
            field(4, "000000001250"),
            field(7, "1122021245"),
            (11, format!("{stan:06}")),
            field(22, "051"),
            field(25, "00"),
            (37, format!("{:012}", 600_000 + u64::from(stan))),
            field(41, "TERM0001"),
            field(42, "MERCHANT0000001"),
            field(49, "156"),
        ],
    }
}

pub(crate) fn answer_to(request: &Plain, code: &str) -> Plain {
    let mti = Mti::from_ascii(request.mti.as_bytes()).expect("digits");
    let mut fields: Vec<(u8, String)> = request
        .fields
        .iter()
        .filter(|(element, _)| ![2, 22, 25, 35, 39, 52, 55].contains(element))
        .cloned()
        .collect();
    fields.push((39, code.into()));
    fields.sort_by_key(|(element, _)| *element);
    Plain { mti: mti.response().expect("a request").to_string(), fields }
}

/// Frames a message, with the dialect's own header.
pub(crate) fn framed(dialect: &Dialect, message: &Plain) -> Vec<u8> {
    let mut out = Vec::new();
    let elements: Bitmap = message.fields.iter().map(|(element, _)| *element).collect();
    let mti = Mti::from_ascii(message.mti.as_bytes()).expect("four digits");
    let header = |out: &mut Vec<u8>| template_header(dialect, out);
    let mut composer = Composer::begin(dialect, &mut out, header, mti, &elements);
    for (element, text) in &message.fields {
        let neutral = match value::form(dialect.field(*element).content) {
            value::Form::Text => text.as_bytes().to_vec(),
            value::Form::Bytes => (0..text.len() / 2)
                .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex"))
                .collect(),
        };
        composer.value(*element, &neutral).unwrap_or_else(|reason| {
            panic!("DE {element}: {}", reason.text());
        });
    }
    composer.finish().expect("fits");
    out
}

/// Every message in a stream of whole frames.
pub(crate) fn plain(dialect: &Dialect, mut bytes: &[u8]) -> Vec<Plain> {
    let mut messages = Vec::new();
    let mut index = Index::default();
    while let Cut::Frame { start, end, next } = frame::cut(&dialect.spec.framing, bytes) {
        let body = &bytes[start..end];
        dialect.decode(body, &mut index).expect("what the switch sends is sound");
        let message = Message { bytes: body, index: &index, dialect };
        let fields = message
            .present()
            .iter()
            .map(|element| {
                let field = dialect.field(element);
                let mut neutral = Vec::new();
                let units = index.span(element).expect("present").units;
                value::read(field, message.value(element).expect("present"), units, &mut neutral);
                let text = match value::form(field.content) {
                    value::Form::Text => String::from_utf8_lossy(&neutral).into_owned(),
                    value::Form::Bytes => neutral.iter().map(|b| format!("{b:02X}")).collect(),
                };
                (element, text)
            })
            .collect();
        messages.push(Plain { mti: message.mti().to_string(), fields });
        bytes = &bytes[next..];
    }
    assert!(bytes.is_empty(), "half a frame was sent");
    messages
}
