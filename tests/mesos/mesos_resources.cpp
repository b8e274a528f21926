// Mesos's own `Resources`, to be asked: what tests of this crate's `Resources` are compared with.
//
// Reads questions from its input and answers each on its output. A question is one byte that says what is asked, then its
// arguments: bytes as a 32-bit length (little endian) and that many bytes; a list of resources as a 32-bit number and each
// one's bytes. A message is in protobuf, in the format with reservation refinement but for `v`.
//
//   v  resource               why it is not valid
//   +  list, list             their sum
//   -  list, list             their difference
//   c  list, list             whether the first contains the second: "true" or "false"
//   f  list, list             where the second is found in the first
//   p  text                   what Resources::parse() makes of it
//   o  list, Offer.Operation  the list after the operation
//   u  list, ReservationInfo  the list with the reservation pushed
//   x  list                   the list with its last reservations popped
//
// An answer is one byte (0: it went well, 1: it did not) and bytes: resources as Mesos prints them, or the error.
//
// Functions and layouts are those of Apache Mesos 1.11.0 in the native module of the Python package `mesos.scheduler`; see
// mesos_host.cpp.
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

#define STR "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
const char* const kResource = "_ZN5mesos8ResourceC1Ev";
const char* const kReservation = "_ZN5mesos24Resource_ReservationInfoC1Ev";
const char* const kOperation = "_ZN5mesos15Offer_OperationC1Ev";
const char* const kRead = "_ZN6google8protobuf11MessageLite15ParseFromStringERK" STR;
const char* const kResources = "_ZN5mesos9ResourcesC1ERKNS_8ResourceE";
const char* const kAdd = "_ZN5mesos9ResourcespLERKS0_";
const char* const kAddOne = "_ZN5mesos9ResourcespLERKNS_8ResourceE";
const char* const kSubtract = "_ZN5mesos9ResourcesmIERKS0_";
const char* const kContains = "_ZNK5mesos9Resources8containsERKS0_";
const char* const kFind = "_ZNK5mesos9Resources4findERKS0_";
const char* const kApply = "_ZNK5mesos9Resources5applyERKNS_15Offer_OperationE";
const char* const kPush = "_ZNK5mesos9Resources15pushReservationERKNS_24Resource_ReservationInfoE";
const char* const kPop = "_ZNK5mesos9Resources14popReservationEv";
const char* const kParse = "_ZN5mesos9Resources5parseERK" STR "S8_";
const char* const kValidate = "_ZN5mesos9Resources8validateERKNS_8ResourceE";
const char* const kPrint = "_ZN5mesoslsERSoRKNS_9ResourcesE";

// Larger than any message or value here.
const size_t kRoom = 4096;
// A small_vector of 15 shared_ptrs: pointer, size and capacity, and the room for them.
const size_t kResourcesSize = 3 * 8 + 15 * 16;

void* module;

[[noreturn]] void die(const std::string& what) {
  fprintf(stderr, "mesos-resources: %s\n", what.c_str());
  _exit(2);
}

template <typename F>
F entry(const char* name) {
  void* p = dlsym(module, name);
  if (p == nullptr) die(std::string("the module does not export ") + name);
  return reinterpret_cast<F>(p);
}

// Objects live until the question is answered. Their destructors do not run: what they own is lost.
std::vector<void*> pool;
size_t in_use;

char* room() {
  if (in_use == pool.size()) pool.push_back(malloc(kRoom));
  return static_cast<char*>(memset(pool[in_use++], 0, kRoom));
}

struct Reply {
  bool failed;
  std::string text;
};

// Option<T> and the first half of Try<T> of stout: whether there is a value (0: there is), then the value.
bool has_value(const char* option) { return *reinterpret_cast<const int*>(option) == 0; }

std::string shown(const void* resources) {
  std::ostringstream out;
  entry<std::ostream& (*)(std::ostream&, const void*)>(kPrint)(out, resources);
  return out.str();
}

// Try<Resources>: an Option<Resources>, then an Option<Error>; an Error is its message.
Reply reply(const char* result) {
  if (has_value(result)) return {false, shown(result + 8)};
  const char* error = result + 8 + kResourcesSize;
  if (!has_value(error)) die("unexpected class layout");
  return {true, *reinterpret_cast<const std::string*>(error + 8)};
}

uint32_t number() {
  unsigned char bytes[4];
  if (!std::cin.read(reinterpret_cast<char*>(bytes), 4)) die("the question ends early");
  return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | uint32_t(bytes[3]) << 24;
}

std::string bytes() {
  std::string text(number(), '\0');
  if (!std::cin.read(&text[0], text.size())) die("the question ends early");
  return text;
}

char* message(const char* constructor) {
  char* object = room();
  entry<void (*)(void*)>(constructor)(object);
  const std::string text = bytes();
  if (!entry<bool (*)(void*, const std::string*)>(kRead)(object, &text)) die("no such message");
  return object;
}

char* resources() {
  uint32_t count = number();
  char* list = room();
  // There is no other way to an empty one: its constructor is inline.
  char* nothing = room();
  entry<void (*)(void*)>(kResource)(nothing);
  entry<void (*)(void*, const void*)>(kResources)(list, nothing);
  while (count-- > 0) entry<void* (*)(void*, const void*)>(kAddOne)(list, message(kResource));
  return list;
}

Reply changed(const char* function) {
  char* left = resources();
  entry<void* (*)(void*, const void*)>(function)(left, resources());
  return {false, shown(left)};
}

Reply answer(char question) {
  char* result = room();
  switch (question) {
    case 'v':
      entry<void* (*)(void*, const void*)>(kValidate)(result, message(kResource));
      if (!has_value(result)) return {false, ""};
      return {true, *reinterpret_cast<const std::string*>(result + 8)};
    case '+':
      return changed(kAdd);
    case '-':
      return changed(kSubtract);
    case 'c': {
      const char* left = resources();
      const bool contains = entry<bool (*)(const void*, const void*)>(kContains)(left, resources());
      return {false, contains ? "true" : "false"};
    }
    case 'f': {
      const char* left = resources();
      entry<void* (*)(void*, const void*, const void*)>(kFind)(result, left, resources());
      if (!has_value(result)) return {true, ""};
      return {false, shown(result + 8)};
    }
    case 'p': {
      const std::string text = bytes(), role = "*";
      entry<void* (*)(void*, const std::string*, const std::string*)>(kParse)(result, &text, &role);
      return reply(result);
    }
    case 'o': {
      const char* left = resources();
      entry<void* (*)(void*, const void*, const void*)>(kApply)(result, left, message(kOperation));
      return reply(result);
    }
    case 'u': {
      const char* left = resources();
      entry<void* (*)(void*, const void*, const void*)>(kPush)(result, left, message(kReservation));
      return {false, shown(result)};
    }
    case 'x':
      entry<void* (*)(void*, const void*)>(kPop)(result, resources());
      return {false, shown(result)};
  }
  die("no such question");
}

}  // namespace

int main() {
  char self[PATH_MAX] = {};
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) die("no /proc");
  const std::string dir = dirname(self);
  if (dlopen((dir + "/libpython-stub.so").c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) die(dlerror());
  module = dlopen((dir + "/_scheduler.so").c_str(), RTLD_LAZY | RTLD_GLOBAL);
  if (module == nullptr) die(dlerror());

  for (char question; std::cin.get(question); in_use = 0) {
    const Reply reply = answer(question);
    const uint32_t size = reply.text.size();
    std::cout.put(reply.failed ? 1 : 0);
    for (int shift = 0; shift < 32; shift += 8) std::cout.put(char(size >> shift));
    std::cout << reply.text << std::flush;
  }
}
