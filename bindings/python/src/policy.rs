//! `policy.evaluate`: what policies allow, without a vault.

use crate::arguments::Text;
use crate::convert::refuse;
use crate::errors::detached;
use pyo3::prelude::*;
use vault_core::policy::{Capability, Dialect, Facts, evaluate as core_evaluate};
use vault_core::types::{Code, Error};

/// A decision: truthy when allowed, with the rule that decided and those that lost.
#[pyclass(frozen, get_all, module = "libvault")]
pub(crate) struct Decision {
    /// Whether the request is allowed.
    allowed: bool,
    /// The path of the rule that decided; None where none matches.
    rule: Option<String>,
    /// The policy that holds the rule: "policy 1" for the first text, and so on.
    policy: Option<String>,
    /// The rule's line in its policy; None in the JSON form.
    line: Option<u32>,
    /// The step that decided, in words.
    step: &'static str,
    /// What the rule gives, by name.
    capabilities: Vec<&'static str>,
    /// The other rules that match, each with the reason why it did not decide.
    losers: Vec<(String, &'static str)>,
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
pub(crate) fn evaluate(
    py: Python<'_>,
    texts: Vec<Bound<'_, PyAny>>,
    operation: Text<'_>,
    path: Text<'_>,
    dialect: Text<'_>,
) -> PyResult<Decision> {
    let dialect = match dialect.0 {
        "vault" => Dialect::Vault,
        "openbao" => Dialect::OpenBao,
        _ => return Err(refuse(py, Code::InvalidRequest, "unknown dialect: use \"vault\" or \"openbao\"")),
    };
    let texts = texts.iter().map(|text| text.extract().map(|Text(text)| text)).collect::<PyResult<Vec<_>>>()?;
    let decision = detached(py, || {
        let operation = Capability::from_name(operation.0)
            .ok_or_else(|| Error::new(Code::InvalidRequest, "unknown operation: use create, read, update, patch, delete or list"))?;
        core_evaluate(&texts, &Facts::new(operation, path.0), dialect)
    })?;
    Ok(Decision {
        text: decision.to_string(),
        allowed: decision.allowed,
        rule: decision.rule,
        policy: decision.policy,
        line: decision.line,
        step: decision.step,
        capabilities: decision.capabilities,
        losers: decision.losers.into_iter().map(|loser| (loser.rule, loser.reason)).collect(),
    })
}
