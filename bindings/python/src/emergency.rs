//! `Emergency`: who has had a credential that is out, and the end of it.

use crate::arguments::{Text, Whole};
use crate::convert::to_python;
use crate::errors::{detached, guarded};
use crate::session::Shared;
use pyo3::prelude::*;
use vault_core::types::{Object, Operation, Value};

/// What is done when a credential is out. Paths and tokens are those of the root namespace.
#[pyclass(frozen, module = "libvault")]
pub(crate) struct Emergency(Shared);

impl Emergency {
    pub(crate) fn new(session: Shared) -> Self {
        Emergency(session)
    }

    /// Carries out a request without the interpreter's lock; its data.
    fn ask<'py>(&self, py: Python<'py>, path: &str, data: Object) -> PyResult<Bound<'py, PyAny>> {
        let session = self.0.get(py)?;
        let answer = detached(py, || session.request(Operation::Write, path, Some(data.into())))?;
        guarded(py, || to_python(py, &answer.data.unwrap_or(Value::Null)))
    }
}

/// What is out, as the request says it.
fn suspect(named: [(&str, Option<Text<'_>>); 4], since: Whole, after: Whole) -> Object {
    let mut data = Object::new().with("since", since.0).with("after", after.0);
    for (name, text) in named {
        if let Some(text) = text {
            data.insert(name, text.0);
        }
    }
    data
}

/// Who is held still, or let go on.
fn whom(accessor: Option<Text<'_>>, entity: Option<Text<'_>>) -> Object {
    let mut data = Object::new();
    for (name, text) in [("accessor", accessor), ("entity", entity)] {
        if let Some(text) = text {
            data.insert(name, text.0);
        }
    }
    data
}

#[pymethods]
impl Emergency {
    /// Who has read what is out, since when (seconds since 1970), and what hangs on it: `readers`, `paths`, `leases`, `credentials`, `by_hand`,
    /// `is_complete`, `next`, `looked`, and `timeline`, lines for a postmortem. Changes nothing. Pass one of a path (with all that is below it), a
    /// prefix, the accessor of a token (with those that it has made), and an entity (its id or name, with all its tokens). Where `next` is not
    /// None there is more: pass it as `after`.
    #[pyo3(
        signature = (path=None, *, prefix=None, accessor=None, entity=None, since=Whole(0), after=Whole(0)),
        text_signature = "($self, path=None, *, prefix=None, accessor=None, entity=None, since=0, after=0)"
    )]
    #[allow(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn look<'py>(
        &self,
        py: Python<'py>,
        path: Option<Text<'_>>,
        prefix: Option<Text<'_>>,
        accessor: Option<Text<'_>>,
        entity: Option<Text<'_>>,
        since: Whole,
        after: Whole,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.ask(
            py,
            "sys/emergency/look",
            suspect([("path", path), ("prefix", prefix), ("accessor", accessor), ("entity", entity)], since, after),
        )
    }

    /// Ends what a look finds: the tokens of the readers (`tokens`: revoke, quarantine or keep), the leases, then the credentials, `parallel` at one
    /// time and `most` in this call. The answer of a look, and `steps`, `left` (call it again until that is 0), `is_complete` (false: somebody may have it still), `failed`. Pass the look's `looked`
    /// as `before`: what was rotated since is left. With `dry_run` it tells what it would do.
    #[pyo3(
        signature = (path=None, *, prefix=None, accessor=None, entity=None, since=Whole(0), after=Whole(0), before=None, tokens=Text("revoke"), leases=true, rotate=true, most=Whole(100), parallel=Whole(4), dry_run=false),
        text_signature = "($self, path=None, *, prefix=None, accessor=None, entity=None, since=0, after=0, before=None, tokens='revoke', leases=True, rotate=True, most=100, parallel=4, dry_run=False)"
    )]
    #[allow(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn contain<'py>(
        &self,
        py: Python<'py>,
        path: Option<Text<'_>>,
        prefix: Option<Text<'_>>,
        accessor: Option<Text<'_>>,
        entity: Option<Text<'_>>,
        since: Whole,
        after: Whole,
        before: Option<Text<'_>>,
        tokens: Text<'_>,
        leases: bool,
        rotate: bool,
        most: Whole,
        parallel: Whole,
        dry_run: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut data = suspect([("path", path), ("prefix", prefix), ("accessor", accessor), ("entity", entity)], since, after)
            .with("tokens", tokens.0)
            .with("leases", leases)
            .with("rotate", rotate)
            .with("most", most.0)
            .with("parallel", parallel.0)
            .with("dry_run", dry_run);
        if let Some(before) = before {
            data.insert("before", before.0);
        }
        self.ask(py, "sys/emergency/contain", data)
    }

    /// Holds a token still, with all that it has made, or all tokens of an entity (its id or name): nothing of it is lost but the leases.
    #[pyo3(signature = (accessor=None, *, entity=None), text_signature = "($self, accessor=None, *, entity=None)")]
    fn quarantine(&self, py: Python<'_>, accessor: Option<Text<'_>>, entity: Option<Text<'_>>) -> PyResult<()> {
        self.ask(py, "sys/emergency/quarantine", whom(accessor, entity)).map(drop)
    }

    /// Lets a token, or an entity, go on that was held still.
    #[pyo3(signature = (accessor=None, *, entity=None), text_signature = "($self, accessor=None, *, entity=None)")]
    fn release(&self, py: Python<'_>, accessor: Option<Text<'_>>, entity: Option<Text<'_>>) -> PyResult<()> {
        self.ask(py, "sys/emergency/release", whom(accessor, entity)).map(drop)
    }
}
