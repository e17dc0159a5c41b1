//! What a primitive gives is a map: it is looked into, and not compared as a whole. A rehearsal may not know it yet, and
//! then ends where somebody looks.

use rhai::{Expr, FnCallExpr, Position, Stmt};
use serde_json::Value;

use super::{
    Check,
    tree::{Around, Node},
};
use crate::{
    primitives::contract::{Verb, schema::resolved, suggest},
    script::{earlier::Address, engine::OUTCOME, error::ScriptError},
};

const COMPARING: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

impl<'a> Check<'a> {
    pub(super) fn outcome(&mut self, node: Node<'a>, around: &Around<'a>) {
        match node {
            Node::Stmt(Stmt::If(flow, _) | Stmt::While(flow, _) | Stmt::Do(flow, ..)) => {
                self.no_condition(&flow.expr, around);
            }
            Node::Stmt(Stmt::Switch(switch, _)) => self.whole(&switch.0, "is never equal to an arm", around),
            Node::Expr(Expr::FnCall(call, _)) if call.op_token.is_some() => self.operator(call, around),
            Node::Expr(Expr::And(parts, _) | Expr::Or(parts, _)) => {
                parts.iter().for_each(|part| self.no_condition(part, around));
            }
            Node::Expr(Expr::InterpolatedString(parts, _)) => {
                for part in parts {
                    let part = match part {
                        Expr::Stmt(block) => match block.statements() {
                            [Stmt::Expr(only)] => only,
                            _ => continue,
                        },
                        other => other,
                    };
                    self.whole(part, "is no text", around);
                }
            }
            Node::Expr(Expr::Dot(chain, ..)) => self.field(&chain.lhs, first(&chain.rhs), around),
            Node::Expr(Expr::Index(chain, ..)) => self.field(&chain.lhs, Some(&chain.rhs), around),
            _ => {}
        }
    }

    fn operator(&mut self, call: &'a FnCallExpr, around: &Around<'a>) {
        let nothing = call.args.iter().any(|argument| matches!(argument, Expr::Unit(_)));
        let text = call
            .args
            .iter()
            .any(|part| matches!(part, Expr::StringConstant(..) | Expr::InterpolatedString(..)));
        for argument in &call.args {
            match call.name.as_str() {
                // Whether there is anything at all may be asked.
                name if COMPARING.contains(&name) && !nothing => {
                    self.whole(argument, "is never equal to another value", around);
                }
                "+" if text => self.whole(argument, "is no text", around),
                "!" => self.no_condition(argument, around),
                _ => {}
            }
        }
    }

    fn no_condition(&mut self, expr: &'a Expr, around: &Around<'a>) {
        self.whole(expr, "is neither true nor false", around);
    }

    /// Somebody takes a whole outcome for something else.
    fn whole(&mut self, expr: &'a Expr, is: &str, around: &Around<'a>) {
        let Some(verb) = self.outcome_of(expr, around) else { return };
        let text = format!("all that `{}` gives {is}", verb.name);
        let hint = match &fields(verb)[..] {
            [] => "it gives nothing that could be looked at".to_owned(),
            names => {
                let names: Vec<_> = names.iter().map(|name| format!("`.{name}`")).collect();
                format!("take one of its fields: {}", names.join(", "))
            }
        };
        self.error(ScriptError::new("whole_outcome", text).hint(hint), expr.start_position());
    }

    /// The primitive whose outcome this certainly is.
    fn outcome_of(&self, expr: &'a Expr, around: &Around<'a>) -> Option<&'a Verb> {
        let verb = match expr {
            Expr::FnCall(call, _) if call.name == OUTCOME => match call.args.first()? {
                Expr::StringConstant(text, _) => {
                    self.known.catalogue.get(Address::read(text, self.known.catalogue).ok()?.verb)?
                }
                _ => return None,
            },
            Expr::FnCall(call, _) if call.namespace.path.is_empty() && !around.in_together() => {
                self.known.catalogue.get(&call.name)?
            }
            Expr::Variable(variable, ..) if variable.2.path.is_empty() => {
                return self.outcome_of(around.certain(&variable.1)?, around);
            }
            _ => return None,
        };
        let schema = verb.outcome.as_value();
        let open = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
        (schema.get("type")? == "object" && !open && schema.get("properties").is_some()).then_some(verb)
    }

    /// A field that an outcome does not have.
    fn field(&mut self, of: &'a Expr, field: Option<&'a Expr>, around: &Around<'a>) {
        let (name, position): (&str, Position) = match field {
            Some(Expr::Property(property, position)) => (&property.2, *position),
            Some(Expr::StringConstant(name, position)) => (name, *position),
            _ => return,
        };
        let Some(verb) = self.outcome_of(of, around) else { return };
        let known = fields(verb);
        if !known.contains(&name) {
            let text = format!("what `{}` gives has no `{name}`", verb.name);
            self.error(ScriptError::new("no_such_value", text).hint(suggest(name, &known)), position);
        }
    }
}

/// What follows a dot at once.
fn first(rest: &Expr) -> Option<&Expr> {
    match rest {
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => first(&chain.lhs),
        Expr::Property(..) => Some(rest),
        _ => None,
    }
}

fn fields(verb: &Verb) -> Vec<&str> {
    let schema = resolved(verb.outcome.as_value(), verb.outcome.as_value());
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.map(|all| all.keys().map(String::as_str).collect()).unwrap_or_default()
}
