// One program, three roles: the name under which it is started says which.
//
//   mesos-master         a master without agents; the leading one unless $MESOS_KIT_LEADER says otherwise
//   mesos-agent          an agent of the master at $MESOS_KIT_MASTER (IPv4:PORT)
//   mesos-containerizer  what an agent starts to launch a container; of no use to anybody else
//
// $MESOS_KIT_LEADER names a file that holds the leading master's IPv4:PORT, or nothing while there is none. It is read
// again and again: whoever writes it elects. Without it, the leader is the master itself, or $MESOS_KIT_MASTER.
//
// Flags are Mesos's environment variables (MESOS_*). All of Mesos is in the native module of the Python package
// `mesos.scheduler`: libmesos is linked into it, and exports the C++ functions that are called here by their mangled
// names. Their layouts are those of Apache Mesos 1.11.0.
#include <arpa/inet.h>
#include <cxxabi.h>
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <typeinfo>

namespace {

#define STR "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
const char* const kProcessInitialize = "_ZN7process10initializeERK6OptionI" STR "ES9_S9_";
const char* const kFlagsLoad = "_ZN5flags9FlagsBase4loadERK" STR;
const char* const kFlagsBaseType = "_ZTIN5flags9FlagsBaseE";
const char* const kLocalFlags = "_ZN5mesos8internal5local5FlagsC1Ev";
const char* const kLocalFlagsType = "_ZTIN5mesos8internal5local5FlagsE";
const char* const kLocalLaunch = "_ZN5mesos8internal5local6launchERKNS1_5FlagsEPNS_9allocator9AllocatorE";
const char* const kLaunchFlags = "_ZN5mesos8internal5slave24MesosContainerizerLaunch5FlagsC1Ev";
const char* const kLaunchFlagsType = "_ZTIN5mesos8internal5slave24MesosContainerizerLaunch5FlagsE";
const char* const kLaunchExecute = "_ZN5mesos8internal5slave24MesosContainerizerLaunch7executeEv";
const char* const kAppoint = "_ZN5mesos6master8detector24StandaloneMasterDetector7appointERK6OptionINS_10MasterInfoEE";
const char* const kMasterInfo = "_ZN5mesos10MasterInfoC1Ev";
const char* const kSerialize = "_ZNK6google8protobuf11MessageLite17SerializeAsStringB5cxx11Ev";
const char* const kParse = "_ZN6google8protobuf11MessageLite15ParseFromStringERK" STR;
const size_t kLaunchFlagsOffset = 0xe0;  // of `flags` in class MesosContainerizerLaunch

void* module;

[[noreturn]] void die(const std::string& what) {
  fprintf(stderr, "mesos-kit: %s\n", what.c_str());
  _exit(2);
}

template <typename F>
F entry(const char* name) {
  void* p = dlsym(module, name);
  if (p == nullptr) die(std::string("the module does not export ") + name);
  return reinterpret_cast<F>(p);
}

// Option<std::string> of stout: whether there is a value (0: there is), then the value.
struct OptionString {
  int state = 0;
  alignas(8) std::string value;
};

void* upcast(void* object, const char* from, const char* to) {
  auto* source = entry<std::type_info*>(from);
  auto* target = entry<__cxxabiv1::__class_type_info*>(to);
  if (!source->__do_upcast(target, &object)) die("unexpected class layout");
  return object;
}

void load_flags(void* base, const std::string& prefix) {
  void* result = calloc(1, 65536);
  entry<void* (*)(void*, void*, const std::string*)>(kFlagsLoad)(result, base, &prefix);
}

// mesos::internal::local::launch() gives its master and agents the master of its own process, through one call of
// StandaloneMasterDetector::appoint(). That call is diverted to appoint_first(), which appoints who leads, and which has
// later leaders appointed through the same detector.
unsigned char* appoint_code;
unsigned char appoint_saved[12];
std::string remote_master;
const char* leader_file;
std::string own_info, own_address;

void write_code(const unsigned char* bytes) {
  const long page = sysconf(_SC_PAGESIZE);
  void* start = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(appoint_code) & ~(page - 1));
  mprotect(start, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC);
  memcpy(appoint_code, bytes, sizeof appoint_saved);
  mprotect(start, 2 * page, PROT_READ | PROT_EXEC);
}

void put_varint(std::string& out, uint64_t v) {
  for (; v >= 128; v >>= 7) out.push_back(char(v | 128));
  out.push_back(char(v));
}
void put(std::string& out, int field, const std::string& v) {
  put_varint(out, field << 3 | 2);
  put_varint(out, v.size());
  out += v;
}
void put(std::string& out, int field, uint64_t v) {
  put_varint(out, field << 3);
  put_varint(out, v);
}

// MasterInfo of the master at `leader`; as it is for the master of this process, or nobody could tell that it leads.
std::string master_info(const std::string& leader) {
  if (leader == own_address) return own_info;
  const size_t colon = leader.rfind(':');
  const std::string host = leader.substr(0, colon);
  const uint64_t port = strtoul(leader.c_str() + colon + 1, nullptr, 10);
  in_addr ip{};
  if (colon == std::string::npos || inet_pton(AF_INET, host.c_str(), &ip) != 1)
    die("the leading master must be IPv4:PORT, not '" + leader + "'");

  const std::string name = leader_file == nullptr ? host : "localhost";
  std::string address, info;
  put(address, 1, name);
  put(address, 2, host);
  put(address, 3, port);
  put(info, 1, "mesos-kit-master " + leader);
  put(info, 2, uint64_t(ip.s_addr));
  put(info, 3, port);
  put(info, 4, "master@" + leader);
  put(info, 5, name);
  put(info, 7, address);
  return info;
}

// Nobody, if `leader` is empty.
void appoint(void* detector, const std::string& leader) {
  char* option = static_cast<char*>(calloc(1, 4096));
  option[0] = leader.empty() ? 1 : 0;  // Option<MasterInfo> of stout
  if (!leader.empty()) {
    const std::string info = master_info(leader);
    entry<void (*)(void*)>(kMasterInfo)(option + 8);
    if (!entry<bool (*)(void*, const std::string*)>(kParse)(option + 8, &info)) die("cannot build MasterInfo");
  }
  reinterpret_cast<void (*)(void*, const void*)>(appoint_code)(detector, option);
}

std::string read_leader() {
  std::string leader;
  std::ifstream(leader_file) >> leader;
  return leader;
}

// `info`: Option<MasterInfo> of the master in this process.
void appoint_first(void* detector, const void* info) {
  write_code(appoint_saved);
  if (leader_file == nullptr) return appoint(detector, remote_master);
  if (remote_master.empty()) {
    own_info = entry<std::string (*)(const void*)>(kSerialize)(static_cast<const char*>(info) + 8);
    own_address = std::string(getenv("LIBPROCESS_IP")) + ":" + getenv("LIBPROCESS_PORT");
  }
  std::string leader = read_leader();
  appoint(detector, leader);
  std::thread([detector, leader]() mutable {
    for (;; usleep(50000)) {
      const std::string now = read_leader();
      if (now != leader) appoint(detector, leader = now);
    }
  }).detach();
}

void redirect_appoint() {
  appoint_code = entry<unsigned char*>(kAppoint);
  memcpy(appoint_saved, appoint_code, sizeof appoint_saved);
  unsigned char jump[12] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0};  // mov rax, imm64; jmp rax
  void (*to)(void*, const void*) = appoint_first;
  memcpy(jump + 2, &to, 8);
  write_code(jump);
}

int containerizer() {
  char* command = static_cast<char*>(calloc(1, 65536));
  entry<void (*)(void*)>(kLaunchFlags)(command + kLaunchFlagsOffset);
  load_flags(upcast(command + kLaunchFlagsOffset, kLaunchFlagsType, kFlagsBaseType), "MESOS_CONTAINERIZER_");
  return entry<int (*)(void*)>(kLaunchExecute)(command);
}

[[noreturn]] void serve(bool agent) {
  OptionString delegate, readwrite, readonly;
  delegate.value = agent ? "slave(1)" : "master";
  readwrite.value = agent ? "mesos-agent-readwrite" : "mesos-master-readwrite";
  readonly.value = agent ? "mesos-agent-readonly" : "mesos-master-readonly";
  entry<bool (*)(const void*, const void*, const void*)>(kProcessInitialize)(&delegate, &readwrite, &readonly);
  if (agent || leader_file != nullptr) redirect_appoint();

  void* flags = calloc(1, 65536);
  entry<void (*)(void*)>(kLocalFlags)(flags);
  load_flags(upcast(flags, kLocalFlagsType, kFlagsBaseType), "MESOS_");
  entry<void* (*)(void*, const void*, void*)>(kLocalLaunch)(calloc(1, 4096), flags, nullptr);
  for (;;) pause();
}

}  // namespace

int main(int, char** argv) {
  char self[PATH_MAX] = {};
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) die("no /proc");
  const std::string dir = dirname(self);
  if (dlopen((dir + "/libpython-stub.so").c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) die(dlerror());
  module = dlopen((dir + "/_scheduler.so").c_str(), RTLD_LAZY | RTLD_GLOBAL);
  if (module == nullptr) die(dlerror());

  const std::string role = basename(argv[0]);
  leader_file = getenv("MESOS_KIT_LEADER");
  if (role == "mesos-containerizer") return containerizer();
  if (role == "mesos-master") {
    setenv("MESOS_NUM_SLAVES", "0", 1);
    serve(false);
  }
  if (role == "mesos-agent") {
    const char* master = getenv("MESOS_KIT_MASTER");
    if (master == nullptr) die("MESOS_KIT_MASTER (IPv4:PORT of the master) is not set");
    remote_master = master;
    setenv("MESOS_NUM_SLAVES", "1", 1);
    setenv("MESOS_REGISTRY", "in_memory", 1);  // the process has a master too, which nobody uses
    serve(true);
  }
  die("run me as mesos-master, mesos-agent or mesos-containerizer, not '" + role + "'");
}
