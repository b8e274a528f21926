// A scheduler on Mesos's own C++ driver (v0 API, libprocess messages, not HTTP), loaded from $MESOS_KIT/_scheduler.so by
// symbol name, so that no headers are needed. Arguments and output are those of examples/bench_client.rs, `tasks` only.
// Messages are built as bytes and parsed by the library, offers and statuses are serialized and scanned here: a little
// more work than with the generated classes. Acknowledgements are the driver's implicit ones.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <new>
#include <string>
#include <thread>
#include <unistd.h>
using std::string;
static thread_local size_t first_new;  // the library calls this operator new: so sizeof of its classes is learnt
void* operator new(size_t n) { if (!first_new) first_new = n; if (void* p = malloc(n)) return p; throw std::bad_alloc(); }
void operator delete(void* p) noexcept { free(p); }
void operator delete(void* p, size_t) noexcept { free(p); }
static void* H;
static void* sym(const string& n) { void* p = dlsym(H, n.c_str()); if (!p) { fprintf(stderr, "no symbol %s\n", n.c_str()); _exit(2); } return p; }
static void varint(string& o, uint64_t v) { while (v >= 128) { o.push_back(char(v | 128)); v >>= 7; } o.push_back(char(v)); }
static string msg(int f, const string& s) { string o; varint(o, f << 3 | 2); varint(o, s.size()); return o + s; }
static string num(int f, uint64_t v) { string o; varint(o, f << 3); varint(o, v); return o; }
static string dbl(int f, double d) { string o; varint(o, f << 3 | 1); o.append((char*)&d, 8); return o; }
static string res(const string& name, double v) { return msg(1, name) + num(2, 0) + msg(3, dbl(1, v)); }
template <class F> static void scan(const string& s, F f) {  // f(field, varint or fixed64, bytes)
  const unsigned char *p = (const unsigned char*)s.data(), *e = p + s.size();
  auto vi = [&] { uint64_t v = 0; for (int sh = 0; p < e; sh += 7) { unsigned char c = *p++; v |= uint64_t(c & 127) << sh; if (c < 128) break; } return v; };
  while (p < e) { uint64_t k = vi(), v = 0; string b;
    switch (k & 7) { case 0: v = vi(); break; case 1: memcpy(&v, p, 8); p += 8; break; case 2: { size_t l = vi(); b.assign((const char*)p, l); p += l; break; } case 5: p += 4; break; default: return; }
    f(int(k >> 3), v, b); }
}
struct Class { size_t size; void (*ctor)(void*); void (*dtor)(void*); };
static bool (*parse)(void*, const string*);
static string (*ser)(const void*);
static Class cls(const string& name) {
  string m = "N5mesos" + std::to_string(name.size()) + name;
  Class c; c.ctor = (void (*)(void*))sym("_Z" + m + "C1Ev"); c.dtor = (void (*)(void*))sym("_Z" + m + "D1Ev");
  auto mk = (void* (*)(const void*, void*))sym("_ZNK5mesos" + std::to_string(name.size()) + name + "3NewEPN6google8protobuf5ArenaE");
  void* tmp = calloc(1, 65536); c.ctor(tmp); first_new = 0; mk(tmp, nullptr); c.size = first_new; return c;
}
static void build(const Class& c, void* at, const string& bytes) { c.ctor(at); if (!parse(at, &bytes)) { fprintf(stderr, "parse\n"); _exit(2); } }
struct Vec { char *b, *e, *cap; };
struct Scheduler {  // the order of the virtual functions of mesos::Scheduler
  virtual ~Scheduler() {}
  virtual void registered(void*, const void*, const void*) = 0;
  virtual void reregistered(void*, const void*) = 0;
  virtual void disconnected(void*) = 0;
  virtual void resourceOffers(void*, const Vec&) = 0;
  virtual void offerRescinded(void*, const void*) = 0;
  virtual void statusUpdate(void*, const void*) = 0;
  virtual void frameworkMessage(void*, const void*, const void*, const string&) = 0;
  virtual void slaveLost(void*, const void*) = 0;
  virtual void executorLost(void*, const void*, const void*, int) = 0;
  virtual void error(void*, const string&) = 0;
};
static Class Offer_, OfferID_, TaskInfo_, Filters_, FrameworkInfo_;
struct Bench : Scheduler {
  int n, per, launched = 0, fin = 0, failed = 0, updates = 0; string cmd; double t0 = 0;
  static double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
  void registered(void*, const void*, const void*) override {}
  void reregistered(void*, const void*) override {}
  void disconnected(void*) override {}
  void resourceOffers(void* driver, const Vec& offers) override {
    if (t0 == 0) t0 = now();
    for (char* o = offers.b; o < offers.e; o += Offer_.size) {
      string id, slave; double cpus = 0, mem = 0;
      scan(ser(o), [&](int f, uint64_t, const string& b) {
        if (f == 1) id = b; else if (f == 3) slave = b;
        else if (f == 5) { string name; double v = 0; scan(b, [&](int g, uint64_t, const string& c) { if (g == 1) name = c; else if (g == 3) scan(c, [&](int h, uint64_t x, const string&) { if (h == 1) memcpy(&v, &x, 8); }); });
          if (name == "cpus") cpus += v; else if (name == "mem") mem += v; } });
      alignas(16) char oid[1024], filters[1024];
      build(OfferID_, oid, id);
      build(Filters_, filters, dbl(1, launched == n ? 3600 : 0));
      int fit = launched == n ? 0 : std::max(0, std::min(std::min(int((cpus - 0.1) / 0.01), int(mem - 64)), std::min(per, n - launched)));
      Vec v; v.b = (char*)malloc(TaskInfo_.size * (fit + 1)); v.e = v.cap = v.b + TaskInfo_.size * fit;
      for (int i = 0; i < fit; i++) {
        char tid[32]; snprintf(tid, sizeof tid, "task-%07d", launched++);
        build(TaskInfo_, v.b + TaskInfo_.size * i, msg(1, "noop") + msg(2, msg(1, tid)) + msg(3, slave) + msg(4, res("cpus", 0.01)) + msg(4, res("mem", 1)) +
          msg(5, msg(1, msg(1, "bench")) + msg(7, msg(3, cmd)) + msg(5, res("cpus", 0.1)) + msg(5, res("mem", 64))));
      }
      static auto launch = (int (*)(void*, const void*, const Vec*, const void*))sym("_ZN5mesos20MesosSchedulerDriver11launchTasksERKNS_7OfferIDERKSt6vectorINS_8TaskInfoESaIS5_EERKNS_7FiltersE");
      launch(driver, oid, &v, filters);
      for (char* p = v.b; p < v.e; p += TaskInfo_.size) TaskInfo_.dtor(p);
      free(v.b); OfferID_.dtor(oid); Filters_.dtor(filters);
    }
  }
  void offerRescinded(void*, const void*) override {}
  void statusUpdate(void*, const void* st) override {
    updates++; int state = -1;
    scan(ser(st), [&](int f, uint64_t v, const string&) { if (f == 2) state = int(v); });
    if (state == 0 || state == 1 || state == 6 || state == 8) return;
    if (state != 2) failed++;
    if (++fin == n) {
      double w = now() - t0;
      std::thread([=] { usleep(50000); printf("{\"tasks\":%d,\"failed\":%d,\"updates\":%d,\"wall_s\":%f}\n", n, failed, updates, w); fflush(stdout); _exit(failed > 0); }).detach();
    }
  }
  void frameworkMessage(void*, const void*, const void*, const string&) override {}
  void slaveLost(void*, const void*) override {}
  void executorLost(void*, const void*, const void*, int) override {}
  void error(void*, const string& m) override { fprintf(stderr, "error: %s\n", m.c_str()); _exit(4); }
};
int main(int argc, char** argv) {
  if (argc < 6 || strcmp(argv[1], "tasks") || !getenv("MESOS_KIT")) { fprintf(stderr, "tasks only; MESOS_KIT must be set\n"); return 2; }
  string kit = getenv("MESOS_KIT"); setenv("LIBPROCESS_IP", "127.0.0.1", 0); setenv("MESOS_LOGGING_LEVEL", "ERROR", 0);
  for (const char* l : {"/libcrypto.so.1.0.0", "/libssl.so.1.0.0", "/libcurl.so.4"}) dlopen((kit + l).c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!dlopen((kit + "/libpython-stub.so").c_str(), RTLD_NOW | RTLD_GLOBAL) || !(H = dlopen((kit + "/_scheduler.so").c_str(), RTLD_LAZY | RTLD_GLOBAL))) { fprintf(stderr, "%s\n", dlerror()); return 2; }
  parse = (bool (*)(void*, const string*))sym("_ZN6google8protobuf11MessageLite15ParseFromStringERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE");
  ser = (string (*)(const void*))sym("_ZNK6google8protobuf11MessageLite17SerializeAsStringB5cxx11Ev");
  Offer_ = cls("Offer"); OfferID_ = cls("OfferID"); TaskInfo_ = cls("TaskInfo"); Filters_ = cls("Filters"); FrameworkInfo_ = cls("FrameworkInfo");
  Bench b; b.n = atoi(argv[3]); b.per = atoi(argv[4]); b.cmd = argv[5];
  void *fw = calloc(1, 65536), *drv = calloc(1, 65536);
  build(FrameworkInfo_, fw, msg(1, "root") + msg(2, "bench-native-v0"));
  string master = argv[2];
  ((void (*)(void*, void*, const void*, const string*))sym("_ZN5mesos20MesosSchedulerDriverC1EPNS_9SchedulerERKNS_13FrameworkInfoERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"))(drv, &b, fw, &master);
  ((int (*)(void*))sym("_ZN5mesos20MesosSchedulerDriver5startEv"))(drv);
  ((int (*)(void*))sym("_ZN5mesos20MesosSchedulerDriver4joinEv"))(drv);
  return 5;
}
