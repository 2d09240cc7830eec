//! `policy.evaluate` and `policy.run_tests`: what policies allow, without a vault.

use crate::arguments::{Duration, Place, Text};
use crate::convert::{data_to_value, refuse};
use crate::errors::detached;
use pyo3::prelude::*;
use vault_core::policy::{Capability, Dialect, Facts, Settings, TemplateFacts, evaluate as core_evaluate, run_tests};
use vault_core::types::Code;

/// A decision: truthy when allowed, with the rule that decided and those that lost.
#[pyclass(frozen, get_all, module = "libvault")]
pub(crate) struct Decision {
    /// Whether the request is allowed.
    allowed: bool,
    /// The path of the rule that decided; None where none matches.
    rule: Option<String>,
    /// The policy that holds the rule: "policy 1" for the first text, and so on.
    policy: Option<String>,
    /// The rule's line in its policy.
    line: Option<u32>,
    /// The step that decided, in words.
    step: &'static str,
    /// The name of the parameter that was refused or is missing; None where it was none.
    parameter: Option<String>,
    /// What the rule gives, by name.
    capabilities: Vec<&'static str>,
    /// The other rules that match, each with the reason why it did not decide.
    losers: Vec<(String, &'static str)>,
    /// Rules with templates that match nothing for this caller: rule, policy, line and reason.
    void: Vec<(String, String, u32, &'static str)>,
    /// The whole decision in one line.
    text: String,
}

#[pymethods]
impl Decision {
    fn __bool__(&self) -> bool {
        self.allowed
    }

    fn __str__(&self) -> &str {
        &self.text
    }

    fn __repr__(&self) -> String {
        format!("Decision({})", self.text)
    }
}

/// Decides a request by these policies alone.
#[pyfunction]
#[pyo3(signature = (texts, operation, path, data, wrap_ttl, dialect, absolute_deny, caller))]
#[expect(clippy::too_many_arguments, reason = "each is an argument in Python")]
pub(crate) fn evaluate<'py>(
    py: Python<'py>,
    texts: Vec<Bound<'py, PyAny>>,
    operation: Text<'_>,
    path: Text<'_>,
    data: Option<&Bound<'py, PyAny>>,
    wrap_ttl: Option<Duration>,
    dialect: Text<'_>,
    absolute_deny: bool,
    caller: Option<&Bound<'py, PyAny>>,
) -> PyResult<Decision> {
    let settings = settings(py, dialect, absolute_deny)?;
    let texts = texts.iter().map(|text| text.extract().map(|Text(text)| text)).collect::<PyResult<Vec<_>>>()?;
    let (data, caller) = (data_to_value(data)?, data_to_value(caller)?);
    let wrap_ttl = wrap_ttl.map(|ttl| ttl.0);
    let decision = detached(py, || {
        let caller = caller.as_ref().map(TemplateFacts::from_value).transpose()?;
        let operation = Capability::asked(operation.0)?;
        let facts = Facts { data: data.as_ref(), wrap_ttl, caller: caller.as_ref(), ..Facts::new(operation, path.0) };
        core_evaluate(&texts, &facts, settings)
    })?;
    Ok(Decision {
        text: decision.to_string(),
        allowed: decision.allowed,
        rule: decision.rule,
        policy: decision.policy,
        line: decision.line,
        step: decision.step,
        parameter: decision.parameter,
        capabilities: decision.capabilities,
        losers: decision.losers.into_iter().map(|loser| (loser.rule, loser.reason)).collect(),
        void: decision.void.into_iter().map(|void| (void.rule, void.policy, void.line, void.reason)).collect(),
    })
}

/// Runs the tests of a file: how many passed, how many failed, and the report as text.
#[pyfunction]
pub(crate) fn run_policy_tests(py: Python<'_>, path: Place) -> PyResult<(usize, usize, String)> {
    let report = detached(py, || run_tests(&path.0))?;
    Ok((report.passed(), report.failed(), report.to_string()))
}

/// How policies are evaluated, by the words of Python.
pub(crate) fn settings(py: Python<'_>, dialect: Text<'_>, absolute_deny: bool) -> PyResult<Settings> {
    let dialect = match dialect.0 {
        "vault" => Dialect::Vault,
        "openbao" => Dialect::OpenBao,
        _ => return Err(refuse(py, Code::InvalidRequest, "unknown dialect: use \"vault\" or \"openbao\"")),
    };
    Ok(Settings { dialect, absolute_deny })
}
