package import Posix

/// Maildirs that are kept open between deliveries, each checked before it is used again.
package final class MaildirCache: Sendable {
    /// Beyond this number all are closed: a worker serves one user, who has few.
    package static let maxOpen = 64

    private let open = Monitor<[[UInt8]: Maildir]>([:])

    package init() {}

    /// The Maildir at `path`; its `tmp/` is cleaned when it is opened.
    package func maildir(_ path: [UInt8], in home: borrowing FileDescriptor) throws(MaildirFailure) -> Maildir {
        if let known = open.with({ $0[path] }), known.isStill(at: path, in: home) { return known }
        let opened = try Maildir(path, in: home)
        opened.clean(now: Int(unixTime()))
        open.with {
            if $0.count >= Self.maxOpen { $0.removeAll() }
            $0[path] = opened
        }
        return opened
    }
}
