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
fn suspect(path: Option<Text<'_>>, prefix: Option<Text<'_>>, accessor: Option<Text<'_>>, since: Whole) -> Object {
    let mut data = Object::new().with("since", since.0);
    for (name, text) in [("path", path), ("prefix", prefix), ("accessor", accessor)] {
        if let Some(text) = text {
            data.insert(name, text.0);
        }
    }
    data
}

#[pymethods]
impl Emergency {
    /// Who has read what is out, since when (seconds since 1970), and what hangs on it: `readers`, `paths`, `leases`, `credentials`, `by_hand`,
    /// `is_complete`, `looked`, and `timeline`, lines for a postmortem. Changes nothing. Pass one of a path (with all that is below it), a prefix,
    /// and the accessor of a token (with those that it has made).
    #[pyo3(signature = (path=None, *, prefix=None, accessor=None, since=Whole(0)), text_signature = "($self, path=None, *, prefix=None, accessor=None, since=0)")]
    fn look<'py>(
        &self,
        py: Python<'py>,
        path: Option<Text<'_>>,
        prefix: Option<Text<'_>>,
        accessor: Option<Text<'_>>,
        since: Whole,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.ask(py, "sys/emergency/look", suspect(path, prefix, accessor, since))
    }

    /// Ends what a look finds: the tokens of the readers (`tokens`: revoke, quarantine or keep), the leases, then the credentials, `parallel` at one
    /// time and `most` in this call. The answer of a look, and `steps`, `left` (call it again until that is 0), `is_complete` (false: somebody may have it still), `failed`. Pass the look's `looked`
    /// as `before`: what was rotated since is left. With `dry_run` it tells what it would do.
    #[pyo3(
        signature = (path=None, *, prefix=None, accessor=None, since=Whole(0), before=None, tokens=Text("revoke"), leases=true, rotate=true, most=Whole(100), parallel=Whole(4), dry_run=false),
        text_signature = "($self, path=None, *, prefix=None, accessor=None, since=0, before=None, tokens='revoke', leases=True, rotate=True, most=100, parallel=4, dry_run=False)"
    )]
    #[allow(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn contain<'py>(
        &self,
        py: Python<'py>,
        path: Option<Text<'_>>,
        prefix: Option<Text<'_>>,
        accessor: Option<Text<'_>>,
        since: Whole,
        before: Option<Text<'_>>,
        tokens: Text<'_>,
        leases: bool,
        rotate: bool,
        most: Whole,
        parallel: Whole,
        dry_run: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut data = suspect(path, prefix, accessor, since)
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

    /// Holds a token still, with all that it has made: nothing of it is lost but its leases.
    fn quarantine(&self, py: Python<'_>, accessor: Text<'_>) -> PyResult<()> {
        self.ask(py, "sys/emergency/quarantine", Object::new().with("accessor", accessor.0)).map(drop)
    }

    /// Lets a token go on that was held still.
    fn release(&self, py: Python<'_>, accessor: Text<'_>) -> PyResult<()> {
        self.ask(py, "sys/emergency/release", Object::new().with("accessor", accessor.0)).map(drop)
    }
}
