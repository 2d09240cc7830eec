//! The paths that are asked without a token: what they need is a key share, or nothing. Each answer of an unsealed vault has its record.

use super::ceremony;
use super::core::Core;
use super::reply::{Reply, Unrecorded};
use super::system::Done;
use super::{arrive, refuse};
use crate::audit::AuditMode;
use crate::barrier::Overlay;
use crate::commit::Proposal;
use crate::types::{Code, Error, Operation, Request, Response, Result, Timestamp, Ttl};
use std::sync::atomic::Ordering;

/// One of these paths, with its operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum OperatorPath {
    SealStatus,
    Init,
    Health,
    Leader,
    Unseal,
    RootStatus,
    RootBegin,
    RootCancel,
    RootUpdate,
    RekeyUpdate,
    VerifyStatus,
    VerifyUpdate,
}

impl OperatorPath {
    /// The operator's path, if the request is for one. With a token, who may cancel is for policy to say.
    pub(super) fn parse(request: &Request, has_token: bool) -> Option<Self> {
        let path = request.path.as_str().strip_prefix("sys/").filter(|_| request.namespace.is_root())?;
        Some(match (request.operation, path.strip_suffix('/').unwrap_or(path)) {
            (Operation::Read, "seal-status") => OperatorPath::SealStatus,
            (Operation::Read, "init") => OperatorPath::Init,
            (Operation::Read, "health") => OperatorPath::Health,
            (Operation::Read, "leader") => OperatorPath::Leader,
            (Operation::Write, "unseal") => OperatorPath::Unseal,
            (Operation::Read, "generate-root/attempt") => OperatorPath::RootStatus,
            (Operation::Write, "generate-root/attempt") => OperatorPath::RootBegin,
            (Operation::Delete, "generate-root/attempt") if !has_token => OperatorPath::RootCancel,
            (Operation::Write, "generate-root/update") => OperatorPath::RootUpdate,
            (Operation::Write, "rekey/update") => OperatorPath::RekeyUpdate,
            (Operation::Read, "rekey/verify") => OperatorPath::VerifyStatus,
            (Operation::Write, "rekey/verify") => OperatorPath::VerifyUpdate,
            _ => return None,
        })
    }
}

/// Carries out such a request of an unsealed vault, and records how it ended.
pub(super) fn handle(core: &Core, path: OperatorPath, request: &Request, now: Timestamp, mode: AuditMode) -> Reply {
    let event = match arrive(core, request, now) {
        Ok(event) => event,
        Err(error) => return Reply::Unrecorded(Unrecorded::Unready(error)),
    };
    let mut overlay = core.writing();
    let cannot_wrap = || Error::new(Code::InvalidRequest, "what is asked without a token cannot be wrapped: ask for a plain reply");
    let plain = request.wrap_ttl.is_none_or(|ttl| ttl == Ttl::ZERO).then_some(()).ok_or_else(cannot_wrap);
    let done = match plain.and_then(|()| super::check_context(request)).and_then(|()| execute(core, path, &mut overlay, request, now)) {
        Ok(done) => done,
        Err(error) => return refuse(core, error, event, now, mode),
    };
    let response = Response { request_id: event.request_id.clone(), data: done.data, ..Response::default() };
    let proposal = Proposal { writes: overlay.into_writes(), events: vec![event.clone()], publish: done.publish, ..Proposal::default() };
    match core.committer.commit(proposal) {
        Ok(receipt) => Reply::recorded(Ok(response), receipt),
        Err(error) => refuse(core, error.into(), event, now, mode),
    }
}

fn execute(core: &Core, path: OperatorPath, overlay: &mut Overlay<'_>, request: &Request, now: Timestamp) -> Result<Done> {
    let data = request.data.as_ref();
    let rekeys = matches!(path, OperatorPath::RekeyUpdate | OperatorPath::VerifyUpdate);
    if rekeys && core.frozen.load(Ordering::Acquire) {
        return Err(super::frozen());
    }
    match path {
        OperatorPath::RootStatus => Ok(ceremony::root_status(core)),
        OperatorPath::RootBegin => ceremony::root_begin(core),
        OperatorPath::RootCancel => ceremony::root_cancel(core, Some(data.unwrap_or(&crate::types::Value::Null))),
        OperatorPath::RootUpdate => ceremony::root_update(core, overlay, data, now),
        OperatorPath::RekeyUpdate => ceremony::rekey_update(core, overlay, data, now),
        OperatorPath::VerifyStatus => ceremony::verify_status(core),
        OperatorPath::VerifyUpdate => ceremony::verify_update(core, overlay, data),
        // Answered before: they need no keys.
        OperatorPath::SealStatus | OperatorPath::Init | OperatorPath::Health | OperatorPath::Leader | OperatorPath::Unseal => {
            Ok(Done::default())
        }
    }
}
