/// Where a recipient's mail goes: spec-qmail §6.1.
package enum Channel: UInt8, Sendable, CaseIterable {
    case local = 0
    case remote = 1
}
