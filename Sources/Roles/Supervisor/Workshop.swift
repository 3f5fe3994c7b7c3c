private import Boundaries
private import ControlFiles
private import Glibc
private import Posix
internal import RoleContext

/// Puts together what each process is started with.
struct Workshop {
    private let home: Home
    private let accounts: Accounts
    private let boundaries: BoundarySockets
    private let doors: DoorSockets
    private let programs: String
    private let hangUp: Int32
    private let descriptorLimit: UInt64
    private let intakeWorkers: Int

    /// `control/smtpworkers` beyond this is taken for it.
    static let maxWorkers: UInt64 = 256

    init(_ home: Home, _ accounts: Accounts, _ boundaries: BoundarySockets, _ doors: DoorSockets) throws(StartFailure) {
        self.home = home
        self.accounts = accounts
        self.boundaries = boundaries
        self.doors = doors
        programs = try Self.programDirectory()
        hangUp = try Self.lifeline()
        descriptorLimit = Self.raisedDescriptorLimit()
        let wanted = try orMend("mend control/smtpworkers") { () throws(SystemError) in try ControlDirectory().integer("smtpworkers") }
        // Half the cores: the queue's writer, delivery and the kernel need the rest.
        intakeWorkers = max(1, wanted.map { Int(min($0, Self.maxWorkers)) } ?? sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 2)
    }

    func charges() -> [Charge] {
        RolePlan.all.flatMap { plan -> [Charge] in
            (0..<workers(plan)).map { Charge(plan, worker: $0, launch(plan, worker: $0)) }
        }
    }

    /// A role whose doors are all closed has nothing to do.
    private func workers(_ plan: RolePlan) -> Int {
        guard !plan.doors.isEmpty else { return 1 }
        return doors.sockets.contains { plan.doors.contains($0.door) } ? intakeWorkers : 0
    }

    private func launch(_ plan: RolePlan, worker: Int) -> Launch {
        var program = ChildProgram(path: Array("\(programs)/martletd".utf8), arguments: [], hasOwnGroup: true)
        program.identity = identity(plan)
        (program.descriptorLimit, program.memoryLimit) = (descriptorLimit, plan.memoryLimit)
        // The supervisor passes them on to all; one that is still starting is not ended by them.
        program.ignoresHangup = true
        var descriptors = [hangUp, STDERR_FILENO, STDERR_FILENO]
        let sockets = self.sockets(plan)
        let context = RoleContext(
            role: plan.name, worker: worker, workers: max(1, workers(plan)), sockets: sockets, accounts: accounts)
        program.environment = Self.environment(changing: ["QMAILHOME": home.path, RoleContext.accountsVariable: context.accountsText])
        switch plan.program {
        case .martletd:
            program.arguments = (["martletd"] + context.arguments).map { Array($0.utf8) }
            // The lock comes last: it is held until the last role is gone, so that no second household starts beside what a killed supervisor left.
            descriptors += sockets.map(\.descriptor) + [home.lockDescriptor]
        case .lspawn:
            program.path = Array("\(programs)/martlet-lspawn".utf8)
            program.arguments = ["martlet-lspawn", "\(programs)/qmail"].map { Array($0.utf8) }
            program.parentDeathSignal = SIGTERM
        }
        return Launch(program: program, descriptors: descriptors)
    }

    /// This process's environment with `changes` put in; a nil value takes the name out.
    private static func environment(changing changes: [String: String?]) -> [[UInt8]] {
        let kept = ProcessStrings.environment.filter { variable in changes.keys.allSatisfy { !variable.starts(with: "\($0)=".utf8) } }
        return kept + changes.sorted { $0.key < $1.key }.compactMap { name, value in value.map { Array("\(name)=\($0)".utf8) } }
    }

    private func sockets(_ plan: RolePlan) -> [(name: String, descriptor: Int32)] {
        let own = plan.answers.compactMap { boundary in boundaries.descriptor(boundary).map { (name: boundary.rawValue, descriptor: $0) } }
        return own + doors.sockets.filter { plan.doors.contains($0.door) }.map { (RoleContext.name($0.door, $0.name), $0.descriptor) }
    }

    /// The role's account with no groups but its own and those of the boundaries where it asks.
    private func identity(_ plan: RolePlan) -> ChildProgram.Identity? {
        guard accounts.isPrivileged, let name = plan.account else { return nil }
        let account = accounts[name]
        return (account.uid, account.gid, [account.gid] + boundaries.groups(for: plan))
    }

    /// Where this program stands; its companions stand beside it.
    private static func programDirectory() throws(StartFailure) -> String {
        let capacity = Int(PATH_MAX)
        var buffer = [CChar](repeating: 0, count: capacity)
        let length = try orMend("/proc must be mounted") { () throws(SystemError) in
            try check("readlink", "/proc/self/exe") { readlink("/proc/self/exe", &buffer, capacity) }
        }
        let path = buffer[..<length].map(UInt8.init(bitPattern:))
        return String(decoding: path[..<(path.lastIndex(of: UInt8(ascii: "/")) ?? path.endIndex)], as: UTF8.self)
    }

    /// A pipe that nothing is ever written to. Its writing end is this process's alone: when that closes, every role knows that the supervisor is gone.
    private static func lifeline() throws(StartFailure) -> Int32 {
        var ends: [Int32] = [-1, -1]
        _ = try orMend("see that reason") { () throws(SystemError) in try check("pipe") { pipe(&ends) } }
        return ends[0]
    }

    private static func raisedDescriptorLimit() -> UInt64 {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        if limit.rlim_max >= Supervisor.descriptorLimit { return Supervisor.descriptorLimit }
        var wanted = rlimit(rlim_cur: rlim_t(Supervisor.descriptorLimit), rlim_max: rlim_t(Supervisor.descriptorLimit))
        // Root may raise it, unless a container forbids that.
        return setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &wanted) == 0 ? Supervisor.descriptorLimit : UInt64(limit.rlim_max)
    }
}
