private import Bytes

/// How a client that has logged in comes to its mailbox: access sends auth the ticket of the login and one end of a socket pair; auth, which knows
/// whose mailbox that is, passes the end on to lspawn with the identity; lspawn starts the store worker with it as descriptor 0. What the worker
/// writes there reaches access; when it cannot be started, the end just closes.
package enum Mailbox {
    /// `run/mailbox`, SEQPACKET, access to auth, with a descriptor; one packet a connection, no answer.
    package struct Opening: Equatable, Sendable {
        /// As ``Login/Answer/success`` gave it; good once, for a short time.
        package var ticket: ArraySlice<UInt8>

        package static let ticketBytes = 16

        package init(ticket: ArraySlice<UInt8>) { self.ticket = ticket }

        package init(_ frame: Frame) throws(FrameError) {
            guard frame.type == 1 else { throw .unknownType(frame.type) }
            guard frame.payload.count == Self.ticketBytes else { throw .malformed(1) }
            ticket = frame.payload
        }

        package func encode() -> [UInt8] { [1] + ticket }
    }

    /// `run/opening`, SEQPACKET, auth to lspawn, which connects; each with a descriptor; no answer.
    package enum Order: Equatable, Sendable {
        /// Start a store worker with the descriptor as its 0.
        /// - user: for USER and the log.
        /// - home: its working directory, absolute.
        /// - mailbox: the Maildir, relative to it.
        /// - isConfined: the worker Landlocks itself to its home before it does anything else: mailboxes that share a uid.
        case open(
            Login.Service, uid: UInt32, gid: UInt32, isConfined: Bool, user: ArraySlice<UInt8>, home: ArraySlice<UInt8>, mailbox: ArraySlice<UInt8>)
        /// Start `martlet-authcheck` as root with the descriptor as its 0: question and answer travel there.
        case check

        package func encode() -> [UInt8] {
            switch self {
            case .open(let service, let uid, let gid, let isConfined, let user, let home, let mailbox):
                var packet: [UInt8] = [1, service.rawValue, isConfined ? 1 : 0]
                packet.append(number: uid)
                packet.append(number: gid)
                for field in [user, home, mailbox] { packet.append(counted: field) }
                return packet
            case .check: return [2]
            }
        }
    }
}
