private import Bytes
private import CUnbound
package import Frames
package import Posix

/// The DNS client: libunbound on a thread of its own, which caches and follows aliases, asked and heard on one loop.
///
/// It forwards to the servers it is given, else to those of `/etc/resolv.conf`, else it asks the Internet from the root down.
///
/// It must not know mail. It returns records within ``Limits``, and "no such name" only when the DNS said so.
package final class Resolver {
    /// hardening.md "DNS".
    package struct Limits: Sendable {
        /// Records taken of one answer; what follows is not looked at.
        package var records = 100
        /// Aliases on the way to one answer. More are a temporary failure.
        package var aliases = 8
        /// For a whole look-up.
        package var seconds = 30.0
        package init() {}
    }

    package struct Configuration: Sendable, Equatable {
        /// `IP` or `IP@PORT` each; empty for those of the system.
        package var servers: [String] = []
        /// A file with the root's keys; answers that fail validation are then temporary failures. Nil: answers are taken as they come.
        package var trustAnchor: String?
        package init() {}
    }

    package enum Failure: Error, Equatable, CustomStringConvertible {
        case noLibrary(String)
        case noContext
        case notAServer(String)
        case cannotUse(String)

        package var description: String {
            switch self {
            case .noLibrary(let reason): "libunbound could not be opened (Debian's libunbound8): \(reason)"
            case .noContext: "libunbound could not be started"
            case .notAServer(let text): "\(text): not an IP address, or one with @PORT"
            case .cannotUse(let what): "libunbound does not take \(what)"
            }
        }
    }

    private let context: OpaquePointer
    private let descriptor: Int32
    private let loop: EventLoop
    private let limits: Limits

    package init(_ configuration: Configuration, limits: Limits = Limits(), on loop: EventLoop) throws(Failure) {
        context = try Self.makeContext(configuration)
        self.loop = loop
        self.limits = limits
        descriptor = martlet_unbound_fd(context)
        do throws(SystemError) {
            try loop.add(descriptor, .read) { [unowned self] _ in martlet_unbound_process(context) }
        } catch {
            throw .cannotUse("its own descriptor: \(error)")
        }
    }

    deinit {
        loop.remove(descriptor)
        martlet_unbound_ctx_delete(context)
    }

    private static func makeContext(_ configuration: Configuration) throws(Failure) -> OpaquePointer {
        if let reason = martlet_unbound_open() { throw .noLibrary(String(cString: reason)) }
        guard let context = martlet_unbound_ctx_create() else { throw .noContext }
        do throws(Failure) {
            try configure(context, configuration)
        } catch {
            martlet_unbound_ctx_delete(context)
            throw error
        }
        return context
    }

    private static func configure(_ context: OpaquePointer, _ configuration: Configuration) throws(Failure) {
        // A name server of this machine is as good as another.
        try set(context, "do-not-query-localhost:", "no")
        try set(context, "module-config:", configuration.trustAnchor == nil ? "iterator" : "validator iterator")
        // A server that did not answer for a while is tried on: with one forwarder, giving it up would stop all mail for a quarter of an hour.
        try set(context, "infra-keep-probing:", "yes")
        try set(context, "infra-host-ttl:", "60")
        if let anchor = configuration.trustAnchor, martlet_unbound_ctx_add_ta_file(context, anchor) != 0 { throw .cannotUse(anchor) }
        for server in configuration.servers where martlet_unbound_ctx_set_fwd(context, server) != 0 { throw .notAServer(server) }
        // Without that file, or any server in it, libunbound asks from the root down.
        if configuration.servers.isEmpty { _ = martlet_unbound_ctx_resolvconf(context, nil) }
        guard martlet_unbound_ctx_async(context, 1) == 0 else { throw .noContext }
        // libunbound answers NXDOMAIN for all of these by itself; a private name server may know better. This ends the configuration.
        for zone in ["test.", "invalid."] { _ = martlet_unbound_ctx_zone_remove(context, zone) }
    }

    private static func set(_ context: OpaquePointer, _ option: String, _ value: String) throws(Failure) {
        guard martlet_unbound_ctx_set_option(context, option, value) == 0 else { throw .cannotUse(option) }
    }

    /// Calls `completion` once, on the loop, within the limits' time.
    package func lookUp(_ kind: NameLookup.Kind, _ name: ArraySlice<UInt8>, _ completion: @escaping (NameLookup.Result) -> Void) {
        guard DomainName.isAskable(name) else { return completion(.noSuchName) }
        switch kind {
        case .exchangers: query(.mx, name) { completion(NameLookup.Result(exchangers: $0)) }
        case .texts: query(.txt, name) { completion(NameLookup.Result(texts: $0)) }
        case .addresses:
            var first: RecordSet?
            let take = { (set: RecordSet, isV4: Bool) in
                guard let other = first else {
                    first = set
                    return
                }
                completion(isV4 ? NameLookup.Result(addresses: set, other) : NameLookup.Result(addresses: other, set))
            }
            query(.a, name) { take($0, true) }
            query(.aaaa, name) { take($0, false) }
        }
    }

    private enum RecordType: Int32 {
        case a = 1
        case mx = 15
        case txt = 16
        case aaaa = 28
    }

    private func query(_ type: RecordType, _ name: ArraySlice<UInt8>, _ completion: @escaping (RecordSet) -> Void) {
        let query = Query(self, completion)
        // libunbound holds the query until it calls back or forgets it.
        let held = Unmanaged.passRetained(query)
        var id: Int32 = 0
        let failure = martlet_unbound_resolve_async(
            context, name.text, type.rawValue, 1, held.toOpaque(),
            { data, error, result in
                guard let data else { return martlet_unbound_resolve_free(result) }
                Unmanaged<Query>.fromOpaque(data).takeRetainedValue().answered(error, result)
            }, &id)
        if failure != 0 {
            held.release()
            return query.end(.failure)
        }
        query.deadline = loop.after(seconds: limits.seconds) { [weak query] in
            guard let query, !query.hasEnded else { return }
            if martlet_unbound_cancel(query.resolver.context, id) == 0 { held.release() }
            query.end(.failure)
        }
    }

    /// One question that libunbound works on. It keeps the resolver alive, so that one that is replaced answers what it was asked.
    private final class Query {
        let resolver: Resolver
        var deadline: TimerQueue.Token?
        private var completion: ((RecordSet) -> Void)?

        init(_ resolver: Resolver, _ completion: @escaping (RecordSet) -> Void) {
            self.resolver = resolver
            self.completion = completion
        }

        var hasEnded: Bool { completion == nil }

        func answered(_ error: Int32, _ result: UnsafeMutablePointer<ub_result>?) {
            let set = error == 0 ? result.map { Resolver.read($0.pointee, resolver.limits) } : nil
            martlet_unbound_resolve_free(result)
            end(set ?? .failure)
        }

        func end(_ set: RecordSet) {
            if let deadline { resolver.loop.cancel(deadline) }
            let completion = self.completion
            self.completion = nil
            // Not from within libunbound's callback: the resolver may end with this query, and its context must not while it calls.
            resolver.loop.atEndOfTurn { [self] in
                completion?(set)
                _ = resolver
            }
        }
    }

    private static func read(_ result: ub_result, _ limits: Limits) -> RecordSet {
        if result.bogus != 0 { return .failure }
        if result.nxdomain != 0 { return .noSuchName }
        guard result.rcode == 0, let packet = result.answer_packet else { return .failure }
        let bytes = UnsafeRawBufferPointer(start: packet, count: Int(result.answer_len))
        guard let aliases = AnswerPacket.aliasCount(Array(bytes)[...]), aliases <= limits.aliases else { return .failure }
        guard result.havedata != 0, let data = result.data, let lengths = result.len else { return .noData }
        var records: [ArraySlice<UInt8>] = []
        while records.count < limits.records, let record = data[records.count] {
            records.append(Array(UnsafeRawBufferPointer(start: record, count: Int(lengths[records.count])))[...])
        }
        return .data(records)
    }
}
