//! A request of a session, and its answer compared with the model's.

use super::ask::Ask;
use super::model::{Answer, TokenId};
use super::world::{World, is_failure};
use std::sync::atomic::Ordering;
use vault_core::storage::Storage;
use vault_core::types::{Code, Context, Error, Path, Request, Response, Result, SecretString, Ttl, Value};

/// A request that was answered.
#[derive(Clone, Copy)]
struct Sent {
    token: Option<TokenId>,
    now: u64,
    /// The token that it would have made.
    made: TokenId,
    /// The anchor has failed meanwhile.
    anchor_failed: bool,
}

impl World {
    /// Sends a request and compares its answer with what the model says.
    pub fn ask(&mut self, token: Option<TokenId>, ask: &Ask, made: TokenId) -> Result<Response> {
        let (asked, now) = (ask.to_request(), self.now());
        let number = self.ledger.begin(asked.operation.name(), &asked.path, token, now);
        let path = Path::parse(&asked.path).expect("a path of a story");
        let context = Context { correlation_id: Some(number.to_string()), remote_address: None };
        let request = Request { data: asked.data, context, ..Request::new(asked.operation, path) };
        let unknown = || self.live().vault.session(SecretString::copy_from("hvs.00000000000000000000000000000000"));
        let session = token.map_or_else(unknown, |id| self.live().sessions[&id].clone());
        let (before, failures) = (self.live().storage.commit_number(), self.anchor_failures());
        self.ground.busy.store(true, Ordering::Relaxed);
        let reply = session.handle(request);
        self.ground.busy.store(false, Ordering::Relaxed);
        let durable = reply.commit().is_some();
        let outcome = reply.into_result();
        self.let_tick();
        if self.live().storage.commit_number() > before {
            self.ledger.committed(number, now);
        }
        let code = outcome.as_ref().map_or_else(|error| Some(error.code()), |_| None);
        self.coverage.hit(format!("answer: {}", code.map_or("success", Code::name)));
        if !code.is_some_and(is_failure) {
            self.ledger.end(number, code.map_or(0, Code::number), durable);
            assert!(durable || code.is_some() || !self.ground.setting.strict, "a reply has left before its record");
            if self.ground.setting.strict && !durable {
                self.coverage.hit("strict: a repeated refusal is counted");
            }
        }
        let sent = Sent { token, now, made, anchor_failed: self.anchor_failures() > failures };
        self.judge(sent, ask, &outcome);
        outcome
    }

    /// What kind of caller was answered, and how.
    fn note_caller(&mut self, sent: Sent, outcome: &Result<Response>) {
        let state = &self.states[0];
        let denied = outcome.as_ref().is_err_and(|error| error.code() == Code::PermissionDenied);
        let kind = match sent.token {
            None => "caller: a token that was never made",
            Some(0) => "caller: the root token",
            Some(id) if !state.tokens.contains_key(&id) => "caller: a token that was revoked or removed",
            Some(id) if !state.is_valid(id, sent.now) => "caller: a token that has expired",
            Some(_) if denied => "caller: a token that is not allowed to",
            Some(_) => "caller: a token that is allowed to",
        };
        self.coverage.hit(kind);
    }

    /// What a call to a target that took its time has let the vault do meanwhile.
    pub fn let_tick(&mut self) {
        if !self.ground.has_ticked() {
            return;
        }
        let now = self.now();
        let mut applied = self.states.clone();
        applied.iter_mut().for_each(|state| state.expire(now));
        self.states.extend(applied);
        self.simplify();
        self.leases_ticked(now, false);
        self.coverage.hit("host: the vault was let tick meanwhile");
    }

    fn anchor_failures(&self) -> u64 {
        self.ground.anchor.as_ref().map_or(0, |anchor| anchor.failures.load(Ordering::Relaxed))
    }

    /// Keeps of the possible states those that would have answered so.
    fn judge(&mut self, sent: Sent, ask: &Ask, outcome: &Result<Response>) {
        let Sent { token, now, made, anchor_failed } = sent;
        let mut applied = self.states.clone();
        let answers: Vec<Answer> = applied.iter_mut().map(|state| state.answer(token, ask, now, made)).collect();
        if ask.is_of_accounts() {
            self.judge_lending(token, ask, now, &answers, outcome);
            return self.note_caller(sent, outcome);
        }
        match outcome.as_ref().map_err(Error::code) {
            Err(code) if is_failure(code) => {
                self.failed(code, ask.name());
                let calm = self.ground.disk.struck().is_empty() && !self.ground.disk.is_dead();
                match code {
                    // What was written is durable.
                    Code::AnchorFailed if calm => self.states = applied,
                    // The request, or where it has failed before, the record of its failure; or the request, and then the record of that.
                    _ if anchor_failed => {
                        self.states.extend(applied);
                        self.simplify();
                    }
                    // A token whose answer never came is nobody's.
                    Code::Poisoned if !ask.is_read() && !matches!(ask, Ask::MakeToken { .. } | Ask::MakeReplica { .. }) => {
                        self.in_doubt(applied)
                    }
                    // Nothing was written.
                    _ => {}
                }
            }
            _ => {
                let fits = answers.iter().map(|answer| agrees(answer, outcome)).collect::<Vec<_>>();
                assert!(
                    fits.contains(&true),
                    "{} by {token:?}: the answer is {}, the model says {:?}",
                    ask.name(),
                    told(outcome),
                    answers.iter().map(said).collect::<Vec<_>>()
                );
                self.note_caller(sent, outcome);
                self.states = applied.into_iter().zip(fits).filter(|(_, fits)| *fits).map(|(state, _)| state).collect();
                self.simplify();
            }
        }
    }
}

fn agrees(answer: &Answer, outcome: &Result<Response>) -> bool {
    match (answer, outcome) {
        (Answer::Data(data), Ok(response)) => response.data == *data && response.auth.is_none(),
        (Answer::Members(members), Ok(response)) => {
            let found = response.data.as_ref();
            members.iter().all(|(name, value)| found.and_then(|data| data.get(name)) == Some(value))
        }
        (Answer::Token(policies, ttl), Ok(response)) => {
            response.auth.as_ref().is_some_and(|auth| auth.policies == *policies && auth.lease_duration == Ttl::from_secs(*ttl))
        }
        (Answer::Loose, outcome) => outcome.as_ref().is_ok() || outcome.as_ref().is_err_and(|error| error.code() == Code::InvalidRequest),
        (Answer::Refused(code, data), Err(error)) => error.code() == *code && error.data() == data.as_ref(),
        _ => false,
    }
}

/// An outcome with its data, which `Debug` does not show.
fn told(outcome: &Result<Response>) -> String {
    let json = |data: Option<&Value>| data.map_or(String::new(), |data| String::from_utf8_lossy(&data.to_json()).into_owned());
    match outcome {
        Ok(response) => format!(
            "success {} {:?}",
            json(response.data.as_ref()),
            response.auth.as_ref().map(|auth| (&auth.policies, auth.lease_duration))
        ),
        Err(error) => format!("{:?} ({error}) {}", error.code(), json(error.data())),
    }
}

fn said(answer: &Answer) -> String {
    let json = |data: &Value| String::from_utf8_lossy(&data.to_json()).into_owned();
    match answer {
        Answer::Data(Some(data)) => format!("success {}", json(data)),
        Answer::Members(members) => format!("success with {}", json(&members.clone().into())),
        Answer::Refused(code, data) => format!("{code:?} {}", data.as_ref().map_or(String::new(), json)),
        other => format!("{other:?}"),
    }
}
