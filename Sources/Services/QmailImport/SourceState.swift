/// What the files of one message mean together (qmail §4.1, S1 to S5 and what a crash leaves of them).
enum SourceState: Equatable {
    /// S4: accepted, recipients not routed yet; what preprocessing has begun is begun again.
    case queued
    /// S5: routed.
    case preprocessed
    /// Nothing is owed to anybody.
    case skipped(String)
    /// Something is owed, or may be, and not enough is there to do it.
    case damaged(String)
}

extension SourceQueue {
    func state(of id: UInt64) -> SourceState {
        if has(.todo, id) { return has(.mess, id) ? .queued : .damaged("its content is missing: there is \(name(.todo, id)) and no mess") }
        if has(.info, id) { return has(.mess, id) ? .preprocessed : withoutContent(id) }
        for kind in [Kind.local, .remote] where has(kind, id) { return .damaged("\(name(kind, id)) without info: its sender is unknown") }
        if has(.bounce, id) { return .damaged("\(name(.bounce, id)) without info: nobody knows whom to tell") }
        guard has(.mess, id) else { return .skipped("an envelope that was being written: never accepted") }
        return .skipped(has(.intd, id) ? "its envelope was being written: never accepted" : "a content without envelope: never accepted, or ended")
    }

    private func withoutContent(_ id: UInt64) -> SourceState {
        // info is the last to go, before mess; directories may be written in another order.
        let isOwed = [Kind.local, .remote, .bounce].contains { has($0, id) }
        return isOwed ? .damaged("its content is missing: there is \(name(.info, id)) and no mess") : .skipped("ended: only its info is left")
    }
}
