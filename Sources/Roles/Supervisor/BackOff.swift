/// How long to wait before a role that ended is started again: 1 s, doubling with each early death, forgotten after a good life.
package struct BackOff: Sendable {
    package static let firstSeconds = 1.0
    package static let lastSeconds = 30.0
    /// A process that lived this long starts over at ``firstSeconds``.
    package static let goodLifeSeconds = 60.0

    private var nextSeconds = firstSeconds

    package init() {}

    /// - Parameter life: seconds the process lived.
    /// - Returns: seconds to wait.
    package mutating func ended(afterLife life: Double) -> Double {
        if life >= Self.goodLifeSeconds { nextSeconds = Self.firstSeconds }
        defer { nextSeconds = min(nextSeconds * 2, Self.lastSeconds) }
        return nextSeconds
    }
}
