internal import Addresses
private import Boundaries
private import Bytes
private import FrameChannels
private import Frames
private import Glibc
internal import NIOCore
private import Posix
internal import SMTPServer

/// Looks clients up in the lists of `control/dnsbllist`, through role dns. No answer in time, or no dns, lets a client in: lists fail open.
final class ListClient {
    private final class Search {
        let address: IPAddress
        var machine: ListSearch
        let done: ([UInt8]?) -> Void
        let due: UInt64
        init(_ address: IPAddress, _ machine: ListSearch, due: UInt64, _ done: @escaping ([UInt8]?) -> Void) {
            self.address = address
            self.machine = machine
            self.due = due
            self.done = done
        }
    }

    private let client: FrameClient
    private var searches: [UInt32: Search] = [:]
    private var lastToken: UInt32 = 0

    /// For all lists together.
    private static let patience: UInt64 = 10_000_000_000
    private static let checkEvery = TimeAmount.milliseconds(500)

    init(on loop: any NIOCore.EventLoop) {
        client = FrameClient(Boundary.dns.path, on: loop, maxLength: NameLookup.Answer.maxLength)
        client.events.frame = { [unowned self] (frame) throws(FrameError) in take(try NameLookup.Answer(frame)) }
        client.events.disconnected = { [unowned self] in giveUp { _ in true } }
        client.start()
        loop.every(Self.checkEvery) { [weak self] in
            guard let self else { return false }
            let now = monotonicNanoseconds()
            if !searches.isEmpty { giveUp { $0.due <= now } }
            return true
        }
    }

    func stop() { client.stop() }

    /// - Parameter done: called once, later, with what to say to the client in the form of RBLSMTPD; nil lets it in.
    /// - Returns: false when nobody can be asked; `done` is not called then.
    func look(_ address: IPAddress, in lists: [ClientList], _ done: @escaping ([UInt8]?) -> Void) -> Bool {
        guard client.isConnected, !lists.isEmpty else { return false }
        let search = Search(address, ListSearch(lists, address), due: monotonicNanoseconds() &+ Self.patience, done)
        go(search, search.machine.next())
        return true
    }

    private func go(_ search: Search, _ step: ListSearch.Step) {
        switch step {
        case .askText(let name): ask(search, .texts, name)
        case .askAddress(let name): ask(search, .addresses, name)
        case .decided(let text, let list):
            for list in search.machine.logged { log("rblsmtpd: \(search.address) pid \(getpid()): listed by \(list.base.text)") }
            if let text, list != nil {
                let reply = text.first == ASCII.hyphen ? "553 \(logsafe(text.dropFirst()))" : "451 \(logsafe(text))"
                log("rblsmtpd: \(search.address) pid \(getpid()): \(reply)")
            }
            search.done(text)
        }
    }

    private func ask(_ search: Search, _ kind: NameLookup.Kind, _ name: [UInt8]) {
        repeat { lastToken &+= 1 } while searches[lastToken] != nil
        searches[lastToken] = search
        client.send(NameLookup.Question(token: lastToken, kind: kind, name: name[...]).encode)
    }

    private func take(_ answer: NameLookup.Answer) {
        guard let search = searches.removeValue(forKey: answer.token) else { return }
        let found: ListSearch.Answer =
            switch answer.result {
            case .texts(let texts): texts.first.map { .text(Array($0)) } ?? .nothing
            case .addresses(let addresses): .addresses(addresses)
            case .exchangers, .noSuchName, .noData, .temporaryFailure: .nothing
            }
        go(search, search.machine.answered(found))
    }

    private func giveUp(where isOver: (Search) -> Bool) {
        let over = searches.filter { isOver($0.value) }
        for token in over.keys { searches[token] = nil }
        for search in over.values { search.done(nil) }
    }
}
