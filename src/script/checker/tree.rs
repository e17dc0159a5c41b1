//! A file as the checks see it: its statements with what stands around each, and the names that are visible there.
//!
//! The engine's own walk neither enters `break VALUE` nor says where a block ends, so names could not be followed.

use std::collections::BTreeSet;

use rhai::{AST, ASTFlags, ASTNode, Expr, Position, Stmt};

/// One function of a file; closures are functions of their own.
pub(super) struct Function {
    pub name: String,
    pub params: Vec<String>,
    pub private: bool,
    /// Where its body begins and ends; an end that is unknown is that of a single expression.
    pub start: Position,
    end: Position,
    pub body: Vec<Stmt>,
}

impl Function {
    pub(super) fn is_closure(&self) -> bool {
        self.name.starts_with("anon$")
    }

    fn holds(&self, position: Position) -> bool {
        let place = |position: Position| (position.line(), position.position());
        if self.end.is_none() {
            return place(self.start) == place(position);
        }
        place(self.start) <= place(position) && place(position) <= place(self.end)
    }
}

pub(super) struct File {
    pub name: String,
    pub top: Vec<Stmt>,
    pub functions: Vec<Function>,
}

impl File {
    pub(super) fn read(name: &str, ast: &AST) -> Self {
        let functions = ast.iter_functions().map(|function| {
            let found = ast.shared_lib().get_script_fn(function.name, function.params.len());
            let place = |position: Option<Position>| position.unwrap_or(Position::NONE);
            Function {
                name: function.name.to_owned(),
                params: function.params.iter().map(ToString::to_string).collect(),
                private: function.access.is_private(),
                start: place(found.map(|found| found.body.start_position())),
                end: place(found.map(|found| found.body.end_position())),
                body: Vec::new(),
            }
        });
        let mut file =
            Self { name: name.to_owned(), top: ast.statements().to_vec(), functions: functions.collect() };
        // Bodies cannot be asked for, only walked through: their own statements are those that nothing stands around.
        let mut left = file.top.len();
        ast.walk(&mut |path: &[ASTNode<'_>]| {
            if let [ASTNode::Stmt(root)] = path {
                if left > 0 {
                    left -= 1;
                } else {
                    file.give((*root).clone());
                }
            }
            true
        });
        file
    }

    /// A statement goes to the innermost function around it.
    fn give(&mut self, statement: Stmt) {
        let position = statement.position();
        let holding = self.functions.iter_mut().filter(|function| function.holds(position));
        let innermost = holding.max_by_key(|function| (function.start.line(), function.start.position()));
        if let Some(function) = innermost {
            function.body.push(statement);
        }
    }

    /// Shows everything to `visit`, in the order of the text: what runs first, then the functions.
    pub(super) fn walk<'a>(&'a self, visit: &mut dyn Visit<'a>) {
        Walk::over(visit, None, &self.top);
        for function in &self.functions {
            Walk::over(visit, Some(function), &function.body);
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Node<'a> {
    Stmt(&'a Stmt),
    Expr(&'a Expr),
}

/// What stands around a place and bears on what may be written there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Block<'a> {
    Step(&'a str),
    Test(&'a str),
    On,
    Together,
    Loop,
    /// A branch, or what may otherwise not be run.
    Branch,
}

/// A name that is visible.
pub(super) struct Name<'a> {
    pub text: &'a str,
    pub position: Position,
    pub is: Is<'a>,
    pub used: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Is<'a> {
    Let(&'a Expr),
    Const,
    Turn,
    Caught,
    Param,
}

pub(super) struct Around<'a> {
    pub function: Option<&'a Function>,
    pub blocks: Vec<Block<'a>>,
    pub names: Vec<Name<'a>>,
    /// Names of which something is changed somewhere in this body.
    changed: BTreeSet<&'a str>,
    /// Those among them that are set to another value.
    set_again: BTreeSet<&'a str>,
}

impl<'a> Around<'a> {
    pub(super) fn in_step(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block, Block::Step(_)))
    }

    pub(super) fn in_together(&self) -> bool {
        self.blocks.contains(&Block::Together)
    }

    pub(super) fn name(&self, name: &str) -> Option<&Name<'a>> {
        self.names.iter().rev().find(|known| known.text == name)
    }

    fn of(function: Option<&'a Function>, changes: Changes<'a>) -> Self {
        let Changes { changed, set_again } = changes;
        Self { function, blocks: Vec::new(), names: Vec::new(), changed, set_again }
    }

    /// Whether it is set to another value somewhere.
    pub(super) fn is_set_again(&self, name: &str) -> bool {
        self.set_again.contains(name)
    }

    /// What a variable was set to, if it can have no other value.
    pub(super) fn certain(&self, name: &str) -> Option<&'a Expr> {
        match self.name(name)?.is {
            Is::Let(value) if !self.changed.contains(name) => Some(value),
            _ => None,
        }
    }
}

pub(super) trait Visit<'a> {
    fn node(&mut self, node: Node<'a>, around: &Around<'a>);
    /// Statements that follow each other.
    fn block(&mut self, _: &'a [Stmt], _: &Around<'a>) {}
    /// A name is about to become visible.
    fn named(&mut self, _: &Name<'a>, _: &Around<'a>) {}
    /// A name is visible no more.
    fn gone(&mut self, _: &Name<'a>, _: &Around<'a>) {}
}

struct Walk<'a, 'v> {
    around: Around<'a>,
    visit: &'v mut dyn Visit<'a>,
}

/// The keyword of a block of ours, with its parts.
pub(super) fn own_block(expr: &Expr) -> Option<(&str, &[Expr])> {
    match expr {
        Expr::Custom(custom, _) => Some((custom.tokens.first()?.as_str(), &custom.inputs)),
        _ => None,
    }
}

/// The name that a chain like `a.b[0].c` begins with.
pub(super) fn root(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Variable(variable, ..) if variable.2.path.is_empty() => Some(variable.1.as_str()),
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => root(&chain.lhs),
        _ => None,
    }
}

impl<'a, 'v> Walk<'a, 'v> {
    fn over(visit: &'v mut dyn Visit<'a>, function: Option<&'a Function>, body: &'a [Stmt]) {
        let around = Around::of(function, Changes::default());
        let mut changes = Changes::default();
        // The same names again: nothing is told to `visit` yet.
        let mut first = Walk { around, visit: &mut changes };
        first.params(function);
        first.body(body);
        let around = Around::of(function, changes);
        let mut walk = Walk { around, visit };
        walk.params(function);
        walk.body(body);
        walk.leave(0);
    }

    fn params(&mut self, function: Option<&'a Function>) {
        for name in function.into_iter().flat_map(|function| &function.params) {
            let position = function.map_or(Position::NONE, |function| function.start);
            self.around.names.push(Name { text: name, position, is: Is::Param, used: true });
        }
    }

    fn name(&mut self, name: &'a str, position: Position, is: Is<'a>) {
        let name = Name { text: name, position, is, used: false };
        self.visit.named(&name, &self.around);
        self.around.names.push(name);
    }

    fn leave(&mut self, count: usize) {
        while self.around.names.len() > count {
            if let Some(name) = self.around.names.pop() {
                self.visit.gone(&name, &self.around);
            }
        }
    }

    fn body(&mut self, statements: &'a [Stmt]) {
        let before = self.around.names.len();
        self.visit.block(statements, &self.around);
        for statement in statements {
            self.statement(statement);
        }
        self.leave(before);
    }

    fn within(&mut self, block: Block<'a>, statements: &'a [Stmt]) {
        self.around.blocks.push(block);
        self.body(statements);
        self.around.blocks.pop();
    }

    fn statement(&mut self, statement: &'a Stmt) {
        self.visit.node(Node::Stmt(statement), &self.around);
        match statement {
            Stmt::Var(variable, flags, position) => {
                self.expr(&variable.1);
                let is = if flags.contains(ASTFlags::CONSTANT) { Is::Const } else { Is::Let(&variable.1) };
                self.name(&variable.0.name, variable.0.pos.or_else(*position), is);
            }
            Stmt::If(flow, _) => {
                self.expr(&flow.expr);
                self.within(Block::Branch, flow.body.statements());
                self.within(Block::Branch, flow.branch.statements());
            }
            Stmt::Switch(switch, _) => self.switch(&switch.0, &switch.1.expressions),
            Stmt::While(flow, _) | Stmt::Do(flow, ..) => {
                self.expr(&flow.expr);
                self.within(Block::Loop, flow.body.statements());
            }
            Stmt::For(turns, _) => {
                self.expr(&turns.2.expr);
                let before = self.around.names.len();
                for name in std::iter::once(&turns.0).chain(&turns.1) {
                    self.name(&name.name, name.pos, Is::Turn);
                }
                self.within(Block::Loop, turns.2.body.statements());
                self.leave(before);
            }
            Stmt::Assignment(assignment) => {
                self.expr(&assignment.1.lhs);
                self.expr(&assignment.1.rhs);
            }
            Stmt::FnCall(call, _) => call.args.iter().for_each(|argument| self.expr(argument)),
            Stmt::Block(block) => self.body(block.statements()),
            Stmt::TryCatch(flow, _) => {
                self.within(Block::Branch, flow.body.statements());
                let before = self.around.names.len();
                if let Expr::Variable(variable, _, position) = &flow.expr {
                    self.name(&variable.1, *position, Is::Caught);
                }
                self.within(Block::Branch, flow.branch.statements());
                self.leave(before);
            }
            Stmt::Expr(expr) => self.expr(expr),
            Stmt::Return(Some(value), ..) | Stmt::BreakLoop(Some(value), ..) => self.expr(value),
            Stmt::Import(import, _) => self.expr(&import.0),
            _ => {}
        }
    }

    fn switch(&mut self, on: &'a Expr, arms: &'a [rhai::BinaryExpr]) {
        self.expr(on);
        self.around.blocks.push(Block::Branch);
        for arm in arms {
            self.expr(&arm.lhs);
            self.expr(&arm.rhs);
        }
        self.around.blocks.pop();
    }

    fn expr(&mut self, expr: &'a Expr) {
        self.visit.node(Node::Expr(expr), &self.around);
        if let Some((keyword, parts)) = own_block(expr) {
            return self.own(keyword, parts);
        }
        match expr {
            Expr::Variable(variable, ..) if variable.2.path.is_empty() => {
                let known =
                    self.around.names.iter_mut().rev().find(|known| known.text == variable.1.as_str());
                if let Some(known) = known {
                    known.used = true;
                }
            }
            Expr::Stmt(block) => self.body(block.statements()),
            Expr::InterpolatedString(parts, _) | Expr::Array(parts, _) => {
                parts.iter().for_each(|part| self.expr(part));
            }
            Expr::Map(map, _) => map.0.iter().for_each(|(_, value)| self.expr(value)),
            Expr::Index(chain, ..) | Expr::Dot(chain, ..) => {
                self.expr(&chain.lhs);
                self.expr(&chain.rhs);
            }
            Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => {
                // Only the first is worked out in any case.
                self.around.blocks.push(Block::Branch);
                for part in parts.iter() {
                    self.expr(part);
                }
                self.around.blocks.pop();
            }
            Expr::FnCall(call, _) | Expr::MethodCall(call, _) => {
                call.args.iter().for_each(|argument| self.expr(argument));
            }
            _ => {}
        }
    }

    fn own(&mut self, keyword: &'a str, parts: &'a [Expr]) {
        let Some((body, before)) = parts.split_last() else { return };
        let block = match (keyword, before.first()) {
            ("step", Some(Expr::StringConstant(name, _))) => Block::Step(name),
            ("test", Some(Expr::StringConstant(name, _))) => Block::Test(name),
            ("on", _) => Block::On,
            ("together", _) => Block::Together,
            _ => Block::Branch,
        };
        for part in before {
            self.expr(part);
        }
        match body {
            Expr::Stmt(block_of) => self.within(block, block_of.statements()),
            other => self.expr(other),
        }
    }
}

/// Collects the names of which something is changed: by an assignment, by a method, by a closure that has hold of them.
#[derive(Default)]
struct Changes<'a> {
    changed: BTreeSet<&'a str>,
    set_again: BTreeSet<&'a str>,
}

impl<'a> Visit<'a> for Changes<'a> {
    fn node(&mut self, node: Node<'a>, _: &Around<'a>) {
        match node {
            Node::Stmt(Stmt::Assignment(assignment)) => {
                let to = &assignment.1.lhs;
                self.changed.extend(root(to));
                self.set_again.extend(root(to).filter(|_| matches!(to, Expr::Variable(..))));
            }
            Node::Stmt(Stmt::Share(shared)) => {
                self.changed.extend(shared.iter().map(|(name, _)| name.name.as_str()));
            }
            Node::Expr(Expr::Dot(chain, ..)) if calls(&chain.rhs) => self.changed.extend(root(&chain.lhs)),
            _ => {}
        }
    }
}

/// Whether a method is called somewhere in what follows a dot.
fn calls(rest: &Expr) -> bool {
    match rest {
        Expr::MethodCall(..) => true,
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => calls(&chain.lhs) || calls(&chain.rhs),
        _ => false,
    }
}
