package import Addresses
private import ConnectionRules
package import ControlFiles
package import SASL

/// How clients may log in, as every role reads it: `control/authmechanisms`, one a line, and `control/authinsecure`, the networks whose clients may do so
/// without TLS.
package struct LoginOffer: Equatable, Sendable {
    /// The best first.
    package let mechanisms: [Mechanism]
    private let insecure: Networks

    package static let files = ["authmechanisms", "authinsecure"]

    package init(_ control: ControlDirectory) throws {
        let lines = try control.list("authmechanisms")
        for line in lines ?? [] where Mechanism.offered([line]).isEmpty {
            let known = Mechanism.allCases.map(\.rawValue).joined(separator: ", ")
            throw ControlFileError(file: control.file("authmechanisms"), line: 0, problem: "a mechanism is one of \(known)")
        }
        mechanisms = Mechanism.offered(lines)
        insecure = try Networks(control, "authinsecure")
    }

    /// - Parameter address: the client's; nil on a UNIX socket.
    package func needsTLS(_ address: IPAddress?) -> Bool { !insecure.contains(address) }
}
