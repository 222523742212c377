// SPDX-License-Identifier: GPL-2.0-only
#pragma once

// Declarations of the classes and enumerations that other headers most often only name.

#include <cstdint>

namespace pgsim {

// base
class Error;
template <class Space>
class Address;
struct PhysSpace;
struct VirtSpace;
using PhysAddr = Address<PhysSpace>;
using VirtAddr = Address<VirtSpace>;
class Pfn;
class Cycles;
template <class T>
class Range;
using PhysRange = Range<PhysAddr>;
using VirtRange = Range<VirtAddr>;
using PfnRange = Range<Pfn>;
enum class Level : std::uint8_t;
enum class PageSize : std::uint8_t;

// memory
class PhysicalMemory;
class MemorySnapshot;
class FrameSource;
class WriteJournal;
struct WriteOrigin;
struct WriteRecord;
struct StrayAccess;
enum class RegionKind : std::uint8_t;

// cpu
class CpuFeatures;
struct CpuProfile;
struct CpuState;
struct Mtrrs;
struct RegisterWrite;
enum class Feature : std::uint8_t;
enum class Vendor : std::uint8_t;
enum class MemoryType : std::uint8_t;
enum class PagingMode : std::uint8_t;
enum class RegisterFault : std::uint8_t;

// mmu
class Entry;
enum class EntryFlag : std::uint64_t;
enum class EntryFormat : std::uint8_t;
struct Access;
enum class AccessKind : std::uint8_t;
enum class AccessMode : std::uint8_t;
struct AccessRights;
struct PagingControls;
class CanonicalAddr;
struct WalkStep;
struct Translation;
struct PageFault;
struct AddressFault;
struct FlagUpdate;
enum class FaultCause : std::uint8_t;
enum class TranslationSource : std::uint8_t;
class WalkResult;
template <class Tables>
class BasicWalker;
class Tlb;
class PagingStructureCache;
class Mmu;

// machine
class Machine;
struct MachineSnapshot;
struct MachineStop;
struct ExceptionFrame;
struct AccessResult;
struct RegisterResult;
enum class AccessSize : std::uint8_t;
enum class Vector : std::uint8_t;
enum class HandlerResult : std::uint8_t;

// scenario
struct BootScenario;
struct BootOptions;
struct Checkpoint;
class Boot;

}  // namespace pgsim
