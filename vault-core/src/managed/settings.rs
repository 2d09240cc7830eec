//! How a credential is rotated, as users write it: strategy, patience, schedule.

use crate::rotation::cron::CronWindow;
use crate::rotation::schedule::{Schedule, ScheduleError, Timing};
use crate::rotation::{Plan, Retire, Strategy};
use crate::types::limits::{CRON_BYTES_MAX, ROTATION_READS_MAX};
use crate::types::{Code, Error, Object, Result, Ttl, Value};
use minicbor::{Decode, Encode};

/// How long an old credential is kept unless told, in seconds.
const GRACE_SECONDS_DEFAULT: u64 = 86_400;

/// How often a run may fail before it needs somebody: an hour and a half of a target that is away.
pub(super) const ATTEMPTS_MAX: u32 = 12;

/// Which accounts there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Way {
    /// One account, whose password is replaced.
    #[n(0)]
    #[default]
    Single,
    /// Two accounts in turn.
    #[n(1)]
    Alternating,
    /// None: a secret of the vault's own.
    #[n(2)]
    Generate,
}

/// How a credential is rotated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Settings {
    #[n(0)]
    pub(crate) way: Way,
    /// The account changes its own password.
    #[n(1)]
    pub(crate) by_itself: bool,
    /// An account that is no longer used keeps its password (two accounts).
    #[n(2)]
    pub(crate) keeps: bool,
    /// Unless told: a day, and with two accounts and a period at most half of it.
    #[n(3)]
    pub(crate) grace_seconds: Option<u64>,
    /// 0 where a cron expression says when, or no clock does.
    #[n(4)]
    pub(crate) period_seconds: u64,
    /// Empty where a period says when, or no clock does.
    #[n(5)]
    pub(crate) cron: String,
    #[n(6)]
    pub(crate) window_seconds: u64,
    /// A name of the IANA database; empty for UTC.
    #[n(7)]
    pub(crate) zone: String,
    #[n(8)]
    pub(crate) jitter_seconds: u64,
    /// It is due after so many reads of the current version; 0 for never.
    #[cbor(n(9), default)]
    pub(crate) reads_max: u64,
    /// It is due once a token is revoked that has read the current version.
    #[cbor(n(10), default)]
    pub(crate) when_reader_leaves: bool,
}

/// The members of a request that are read here.
pub(crate) const MEMBERS: [&str; 11] = [
    "rotation_period",
    "rotation_schedule",
    "rotation_window",
    "rotation_zone",
    "rotation_jitter",
    "rotate_after_reads",
    "rotate_when_reader_leaves",
    "grace",
    "retire",
    "by_itself",
    "strategy",
];

impl Settings {
    /// Takes over what a request says of the schedule and of accounts; what it leaves out stays.
    pub(crate) fn take(&mut self, data: Option<&Value>) -> Result<()> {
        self.take_schedule(data)?;
        if let Some(value) = member(data, "strategy") {
            self.way = match value.as_str() {
                Some("single") => Way::Single,
                Some("alternating") => Way::Alternating,
                _ => return Err(bad("\"strategy\" is \"single\" (one account) or \"alternating\" (two accounts in turn)")),
            };
        }
        if let Some(value) = member(data, "by_itself") {
            self.by_itself = value.as_bool().ok_or_else(|| bad("\"by_itself\" must be true or false"))?;
        }
        if let Some(value) = member(data, "retire") {
            self.keeps = match value.as_str() {
                Some("close") => false,
                Some("keep") => true,
                _ => return Err(bad("\"retire\" is \"close\" (a random password that nobody keeps) or \"keep\"")),
            };
        }
        if let Some(value) = member(data, "grace") {
            self.grace_seconds = Some(Ttl::from_value(value)?.as_secs());
        }
        self.check()
    }

    /// Takes over what a request says of the schedule.
    pub(crate) fn take_schedule(&mut self, data: Option<&Value>) -> Result<()> {
        let (period, cron) = (member(data, "rotation_period"), member(data, "rotation_schedule"));
        if period.is_some() && cron.is_some() {
            return Err(bad("pass either \"rotation_period\" or \"rotation_schedule\", not both"));
        }
        if let Some(value) = period {
            self.period_seconds = Ttl::from_value(value)?.as_secs();
            self.cron.clear();
            self.window_seconds = 0;
        }
        if let Some(value) = cron {
            let fits = |text: &&str| !text.is_empty() && text.len() <= CRON_BYTES_MAX;
            let text = value.as_str().filter(fits).ok_or_else(|| schedule_error(&ScheduleError::Cron))?;
            self.cron = text.to_owned();
            self.period_seconds = 0;
        }
        if let Some(value) = member(data, "rotation_window") {
            self.window_seconds = Ttl::from_value(value)?.as_secs();
        }
        if let Some(value) = member(data, "rotation_zone") {
            let zone =
                value.as_str().filter(|text| text.len() <= CRON_BYTES_MAX).ok_or_else(|| schedule_error(&ScheduleError::TimeZone))?;
            self.zone = zone.to_owned();
        }
        if let Some(value) = member(data, "rotation_jitter") {
            self.jitter_seconds = Ttl::from_value(value)?.as_secs();
        }
        self.take_use(data)?;
        let by_use = self.reads_max > 0 || self.when_reader_leaves;
        if self.period_seconds == 0 && self.cron.is_empty() && !by_use {
            return Err(match period {
                Some(_) => schedule_error(&ScheduleError::Period),
                None => {
                    bad("say when it is to be rotated: pass \"rotation_period\" or \"rotation_schedule\", or \"rotate_after_reads\" or \
                     \"rotate_when_reader_leaves\"")
                }
            });
        }
        if self.window_seconds > 0 && self.cron.is_empty() {
            return Err(bad("\"rotation_window\" goes with \"rotation_schedule\" only"));
        }
        self.schedule().map(drop).map_err(|error| schedule_error(&error))
    }

    /// Takes over what a request says of rotation by use.
    fn take_use(&mut self, data: Option<&Value>) -> Result<()> {
        if let Some(value) = member(data, "rotate_after_reads") {
            let why = || bad(&format!("\"rotate_after_reads\" is a number of reads from 1 to {ROTATION_READS_MAX}, or 0 for never"));
            self.reads_max = value.as_u64().filter(|reads| *reads <= ROTATION_READS_MAX).ok_or_else(why)?;
        }
        if let Some(value) = member(data, "rotate_when_reader_leaves") {
            self.when_reader_leaves = value.as_bool().ok_or_else(|| bad("\"rotate_when_reader_leaves\" must be true or false"))?;
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let is_two = self.way == Way::Alternating;
        if is_two && self.by_itself {
            return Err(bad("\"by_itself\" goes with one account only: the idle account of two cannot log in to change its password"));
        }
        if !is_two && self.keeps {
            return Err(bad("\"retire\" goes with the strategy \"alternating\" only"));
        }
        if is_two && self.period_seconds > 0 && self.grace_seconds() >= self.period_seconds {
            return Err(bad("the grace must be shorter than the rotation_period: the old account is the next one"));
        }
        self.plan().check().map_err(|error| bad(&error.to_string()))
    }

    fn grace_seconds(&self) -> u64 {
        // Of a secret of the vault's own no older value is kept here: its versions are.
        if self.way == Way::Generate {
            return 0;
        }
        let half = if self.way == Way::Alternating && self.period_seconds > 0 { self.period_seconds / 2 } else { u64::MAX };
        self.grace_seconds.unwrap_or_else(|| half.min(GRACE_SECONDS_DEFAULT))
    }

    /// The machine's plan.
    pub(crate) fn plan(&self) -> Plan {
        let strategy = match self.way {
            Way::Single => Strategy::SingleAccount { by_itself: self.by_itself },
            Way::Alternating => Strategy::TwoAccounts { retire: if self.keeps { Retire::Keep } else { Retire::Close } },
            Way::Generate => Strategy::GenerateAndStore,
        };
        Plan { grace_seconds: self.grace_seconds(), attempts_max: ATTEMPTS_MAX, ..Plan::new(strategy) }
    }

    /// When it is due.
    pub(crate) fn schedule(&self) -> Result<Schedule, ScheduleError> {
        let zone = if self.zone.is_empty() { "UTC" } else { &self.zone };
        let timing = if self.cron.is_empty() && self.period_seconds == 0 {
            Timing::OnDemand
        } else if self.cron.is_empty() {
            Timing::Period { seconds: self.period_seconds }
        } else {
            Timing::Cron(Box::new(CronWindow::parse(&self.cron, zone, self.window_seconds)?))
        };
        Schedule::new(timing)?.with_jitter(self.jitter_seconds)
    }

    /// The settings as answers show them.
    pub(crate) fn show(&self, mut body: Object) -> Object {
        if self.cron.is_empty() {
            body = body.with("rotation_period", self.period_seconds);
        } else {
            body = body.with("rotation_schedule", self.cron.as_str()).with("rotation_window", self.window_seconds);
            body = body.with("rotation_zone", if self.zone.is_empty() { "UTC" } else { &self.zone });
        }
        if self.jitter_seconds > 0 {
            body = body.with("rotation_jitter", self.jitter_seconds);
        }
        if self.reads_max > 0 {
            body = body.with("rotate_after_reads", self.reads_max);
        }
        if self.when_reader_leaves {
            body = body.with("rotate_when_reader_leaves", true);
        }
        body
    }

    /// As above, with what concerns accounts.
    pub(crate) fn show_accounts(&self, body: Object) -> Object {
        let body = self.show(body).with("grace", self.grace_seconds()).with("by_itself", self.by_itself);
        match self.way {
            Way::Alternating => body.with("strategy", "alternating").with("retire", if self.keeps { "keep" } else { "close" }),
            Way::Single | Way::Generate => body.with("strategy", "single"),
        }
    }
}

fn member<'d>(data: Option<&'d Value>, name: &str) -> Option<&'d Value> {
    data.and_then(|data| data.get(name)).filter(|value| !matches!(value, Value::Null))
}

fn schedule_error(error: &ScheduleError) -> Error {
    bad(&error.to_string())
}

fn bad(why: &str) -> Error {
    Error::new(Code::InvalidData, why)
}
