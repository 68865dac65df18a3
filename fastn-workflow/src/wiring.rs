//! Whether work fits the ports that are wired to it.

use crate::adorned::{Function, Parts};
use crate::passing::{StepFuture, Value};
use crate::port::{Inputs, Out, Wire};
use crate::work::Work;

/// Work that takes these ports: `()`, a port, or a tuple of 2 to 8 ports.
///
/// There is an implementation for every number of ports, and a function fits one of them only. So the compiler knows
/// the types of the ports from the function, and a wrong port is reported where it stands.
pub trait Takes<'f, Ports, Kind> {
    /// What doing the work gives.
    type Returns;

    /// Connects the work with the ports.
    #[doc(hidden)]
    fn wired(self, ports: Ports) -> (Parts<'f, Function>, Vec<Wire>)
    where
        Self::Returns: StepFuture;
}

macro_rules! takes {
    (tuple $($T:ident)*) => {
        takes!(($(Out<'f, $T>,)*) $(, $T)*);
    };
    ($Ports:ty $(, $T:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<'f, W, K, $($T: Value),*> Takes<'f, $Ports, K> for W
        where
            W: Work<'f, ($($T,)*), K, By = Function>,
        {
            type Returns = W::Returns;

            fn wired(self, ports: $Ports) -> (Parts<'f, Function>, Vec<Wire>)
            where
                W::Returns: StepFuture,
            {
                (self.parts(), ports.wires())
            }
        }
    };
}

takes!(tuple);
takes!(Out<'f, A>, A);
takes!(tuple A B);
takes!(tuple A B C);
takes!(tuple A B C D);
takes!(tuple A B C D E);
takes!(tuple A B C D E F);
takes!(tuple A B C D E F G);
takes!(tuple A B C D E F G H);

/// A step: work that takes these ports and, asked only then, is `async` and returns a `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a step",
    label = "this is no function that a step can be made of",
    note = "a step is an `async fn` of 0 to 8 owned arguments, after an optional `StepCx`; the arguments derive \
            `serde::Serialize` and `serde::Deserialize`",
    note = "an action of a connector is wired with `call`"
)]
pub trait Step<'f, Ports, Kind> {
    /// What it gives.
    type Output: Value;

    /// Connects the work with the ports.
    #[doc(hidden)]
    fn wired(self, ports: Ports) -> (Parts<'f, Function>, Vec<Wire>);
}

impl<'f, W, Ports, K> Step<'f, Ports, K> for W
where
    W: Takes<'f, Ports, K>,
    W::Returns: StepFuture,
{
    type Output = <W::Returns as StepFuture>::Value;

    fn wired(self, ports: Ports) -> (Parts<'f, Function>, Vec<Wire>) {
        Takes::wired(self, ports)
    }
}
