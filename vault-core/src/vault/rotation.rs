//! The typed face of static roles and their rotations.

use super::Session;
use crate::types::{Code, Error, Object, Operation, Response, Result, SecretString, Ttl, Value};

/// The static roles of a namespace's database mounts.
#[derive(Debug)]
pub struct Rotation<'s> {
    session: &'s Session,
}

/// An account with its password as it is now.
#[derive(Debug)]
#[non_exhaustive]
pub struct StaticCreds {
    /// The account's name at the target.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// The number of the password: another one is another password.
    pub version: u64,
    /// When it was last replaced (RFC 3339).
    pub last_rotation: String,
    /// The time until its schedule replaces it.
    pub ttl: Ttl,
}

/// Where a rotation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationStatus {
    /// The phase, such as `idle`, `setting`, `testing-new` or `grace`.
    pub phase: String,
    /// It has stopped: what happened, what holds and what to do, for an operator.
    pub what_to_do: Option<String>,
    /// Failures since it began.
    pub failures: u64,
    /// When `tick` has something to do about it (RFC 3339).
    pub next: Option<String>,
    /// How the last run ended: `rotated`, `rolled-back`, `rehearsed`, `rehearsal-failed` or `adopted`.
    pub last: Option<String>,
    /// What the target said last, where that was no yes.
    pub target_error: Option<String>,
}

/// What a rehearsal has found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rehearsal {
    /// Whether a rotation would work.
    pub would_work: bool,
    /// What would stop it.
    pub found: Option<String>,
    /// What the target was asked, in order, each with its error.
    pub steps: Vec<(String, Option<String>)>,
}

impl<'s> Rotation<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        Rotation { session }
    }

    /// The account of a role with its password as it is now. `mount` is the path of the database mount, such as `database`.
    ///
    /// # Errors
    /// `NotFound` when there is no such role; `RotationPending` while its first rotation is not at its end.
    pub fn creds(&self, mount: &str, role: &str) -> Result<StaticCreds> {
        let data = self.ask(Operation::Read, mount, "static-creds", role, None)?.data.unwrap_or(Value::Null);
        let text = |name| data.get(name).and_then(Value::as_str).unwrap_or_default();
        let version = data.get("stages").and_then(|stages| stages.get("current")).and_then(|current| current.get("version"));
        Ok(StaticCreds {
            username: text("username").to_owned(),
            password: SecretString::copy_from(text("password")),
            version: version.and_then(Value::as_u64).unwrap_or_default(),
            last_rotation: text("last_vault_rotation").to_owned(),
            ttl: Ttl::from_secs(data.get("ttl").and_then(Value::as_u64).unwrap_or_default()),
        })
    }

    /// Where the rotation of a role stands.
    ///
    /// # Errors
    /// `NotFound` when there is no such role.
    pub fn status(&self, mount: &str, role: &str) -> Result<RotationStatus> {
        let data = self.ask(Operation::Read, mount, "static-roles", role, None)?.data.unwrap_or(Value::Null);
        let status = data.get("rotation").unwrap_or(&Value::Null);
        let text = |name| status.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(RotationStatus {
            phase: text("phase").unwrap_or_default(),
            what_to_do: text("what_to_do"),
            failures: status.get("failures").and_then(Value::as_u64).unwrap_or_default(),
            next: text("next"),
            last: text("last"),
            target_error: text("target_error"),
        })
    }

    /// Replaces a role's password now. With two accounts and the old one still in its grace that happens once the grace is over.
    ///
    /// # Errors
    /// `RotationPending` when it has begun and `tick` carries it on; `RotationStuck` when it has stopped and needs an operator.
    pub fn rotate(&self, mount: &str, role: &str) -> Result<()> {
        self.ask(Operation::Write, mount, "rotate-role", role, None).map(drop)
    }

    /// Goes through a rotation without promoting anything, and tells what it found.
    ///
    /// # Errors
    /// `RotationPending` when the target did not answer yet: [`Rotation::status`] tells the rest.
    pub fn rehearse(&self, mount: &str, role: &str) -> Result<Rehearsal> {
        let data = self.ask(Operation::Write, mount, "rehearse-role", role, None)?.data.unwrap_or(Value::Null);
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let would_work = data.get("would_work").and_then(Value::as_bool);
        let pending = || Error::new(Code::RotationPending, "the rehearsal is not at its end");
        let steps = data.get("steps").and_then(Value::as_array).unwrap_or_default();
        Ok(Rehearsal {
            would_work: would_work.ok_or_else(pending)?,
            found: text(&data, "found"),
            steps: steps.iter().map(|step| (text(step, "asked").unwrap_or_default(), text(step, "error"))).collect(),
        })
    }

    /// Takes back a run that has begun, or in its grace the promotion.
    ///
    /// # Errors
    /// As [`Rotation::rotate`]; `InvalidRequest` when there is nothing to take back.
    pub fn roll_back(&self, mount: &str, role: &str) -> Result<()> {
        self.ask(Operation::Write, mount, "roll-back-role", role, None).map(drop)
    }

    /// Goes on with a rotation that had stopped, once what stopped it was seen to.
    ///
    /// # Errors
    /// As [`Rotation::rotate`]; `InvalidRequest` when it has not stopped.
    pub fn retry(&self, mount: &str, role: &str) -> Result<()> {
        self.ask(Operation::Write, mount, "retry-role", role, None).map(drop)
    }

    /// Retires the old credential now.
    ///
    /// # Errors
    /// As [`Rotation::rotate`]; `InvalidRequest` when nothing is in its grace.
    pub fn end_grace(&self, mount: &str, role: &str) -> Result<()> {
        self.ask(Operation::Write, mount, "end-grace-role", role, None).map(drop)
    }

    /// Takes over a password that was set at the target by hand, once a login with it works.
    ///
    /// # Errors
    /// `RotationStuck` when the login is refused: what readers are given is as it was.
    pub fn adopt(&self, mount: &str, role: &str, password: &SecretString) -> Result<()> {
        let data = Object::new().with("password", password.expose());
        self.ask(Operation::Write, mount, "adopt-role", role, Some(data)).map(drop)
    }

    fn ask(&self, operation: Operation, mount: &str, part: &str, role: &str, data: Option<Object>) -> Result<Response> {
        let path = format!("{}/{part}/{role}", mount.trim_end_matches('/'));
        self.session.request(operation, &path, data.map(Value::from))
    }
}
