private import Glibc
internal import QueueStore

/// Who may have how much while mail comes in. The network has a budget of its own, so that no local user's program can starve it; the others share
/// one, each uid having a part of it.
final class IntakeBudgets {
    private let networkUID: UInt32
    private let network: IntakeBudget
    private let others: IntakeBudget
    private var byUID: [UInt32: IntakeBudget] = [:]
    private let descriptors: Int

    private static let networkBytes = 512 << 20
    private static let otherBytes = 256 << 20
    private static let bytesPerUID = 64 << 20
    private static let connections = 2000
    private static let connectionsPerUID = 200
    private static let openFiles = 1024
    private static let openFilesPerUID = 64

    init(networkUID: UInt32) {
        self.networkUID = networkUID
        descriptors = IntakeBudgets.descriptorLimit
        let (connections, files) = (IntakeBudgets.connections, IntakeBudgets.openFiles)
        network = IntakeBudget(IntakeBudgets.limits(IntakeBudgets.networkBytes, connections, files, descriptors))
        others = IntakeBudget(IntakeBudgets.limits(IntakeBudgets.otherBytes, connections, files, descriptors))
    }

    subscript(_ uid: UInt32) -> IntakeBudget {
        if uid == networkUID { return network }
        if let budget = byUID[uid] { return budget }
        let limits = IntakeBudgets.limits(IntakeBudgets.bytesPerUID, IntakeBudgets.connectionsPerUID, IntakeBudgets.openFilesPerUID, descriptors)
        let budget = IntakeBudget(limits, within: others)
        byUID[uid] = budget
        return budget
    }

    /// Forgets a uid that has nothing here any more.
    func forget(_ uid: UInt32) {
        if let budget = byUID[uid], budget.connections == 0, budget.held == 0, budget.openFiles == 0 { byUID[uid] = nil }
    }

    /// Few descriptors are shared out: the network's and the others' connections and files together take half, deliveries have the rest.
    private static func limits(_ bytes: Int, _ connections: Int, _ files: Int, _ descriptors: Int) -> IntakeBudget.Limits {
        IntakeBudget.Limits(heldBytes: bytes, connections: min(connections, descriptors / 8), openFiles: min(files, descriptors / 8))
    }

    static var descriptorLimit: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        return Int(clamping: limit.rlim_cur)
    }
}
