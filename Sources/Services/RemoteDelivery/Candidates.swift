package import Addresses

/// Where a host's mail may be delivered: the addresses of its exchangers.
package struct Candidates: Equatable, Sendable {
    package struct Candidate: Hashable, Sendable {
        package var preference: UInt16
        package var address: IPAddress
        /// The exchanger's name as DNS or the route gives it; empty where that is an address.
        package var exchanger: [UInt8]
        package init(preference: UInt16, address: IPAddress, exchanger: [UInt8] = []) {
            self.preference = preference
            self.address = address
            self.exchanger = exchanger
        }
    }

    package let all: [Candidate]
    package let port: UInt16

    package init(_ all: [Candidate], port: UInt16) {
        self.all = all
        self.port = port
    }
}
