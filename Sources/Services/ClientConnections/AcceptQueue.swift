private import Glibc

/// Gives a listening socket its queue of 4096 waiting connections back; the kernel cuts it to its own limit. SwiftNIO sets 128 when it takes a bound socket
/// over, whatever `.backlog` says. Clients beyond the queue are met with silence, and try again a second later at the earliest.
package func restoreAcceptQueue(_ descriptor: Int32) { _ = Glibc.listen(descriptor, 4096) }
