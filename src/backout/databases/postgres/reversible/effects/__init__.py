"""The kinds of changes that can be taken back: `ls` is the list, this is their order of finding."""

from __future__ import annotations

from backout.databases.postgres.reversible.effects.attributes import Attributes
from backout.databases.postgres.reversible.effects.base import Effect
from backout.databases.postgres.reversible.effects.cast import Cast
from backout.databases.postgres.reversible.effects.column_added import ColumnAdded
from backout.databases.postgres.reversible.effects.column_aside import ColumnAside
from backout.databases.postgres.reversible.effects.column_default import ColumnDefault
from backout.databases.postgres.reversible.effects.column_hidden import ColumnHidden
from backout.databases.postgres.reversible.effects.column_not_null import ColumnNotNull
from backout.databases.postgres.reversible.effects.column_retyped import ColumnRetyped
from backout.databases.postgres.reversible.effects.commented import Commented
from backout.databases.postgres.reversible.effects.constraint import (
    ConstraintAdded,
    ConstraintDeferred,
    ConstraintDropped,
)
from backout.databases.postgres.reversible.effects.constraint_validated import ConstraintValidated
from backout.databases.postgres.reversible.effects.domain import DomainChanged, DomainCheck
from backout.databases.postgres.reversible.effects.extension_added import ExtensionAdded
from backout.databases.postgres.reversible.effects.family import (
    Inherits,
    PartitionAttached,
    PartitionDetached,
)
from backout.databases.postgres.reversible.effects.function import (
    FunctionAdded,
    FunctionHidden,
    FunctionReplaced,
)
from backout.databases.postgres.reversible.effects.identity import Identity
from backout.databases.postgres.reversible.effects.index import IndexAdded, IndexHidden
from backout.databases.postgres.reversible.effects.key_dropped import KeyDropped
from backout.databases.postgres.reversible.effects.label_added import LabelAdded
from backout.databases.postgres.reversible.effects.label_renamed import LabelRenamed
from backout.databases.postgres.reversible.effects.named import NamedAdded
from backout.databases.postgres.reversible.effects.owner import Owner
from backout.databases.postgres.reversible.effects.placed import Placed
from backout.databases.postgres.reversible.effects.policy import PolicyAdded, PolicyChanged, PolicyDropped
from backout.databases.postgres.reversible.effects.privileges import DefaultPrivileges, Privileges
from backout.databases.postgres.reversible.effects.publication import Publication
from backout.databases.postgres.reversible.effects.remade import Remade
from backout.databases.postgres.reversible.effects.renamed import Renamed
from backout.databases.postgres.reversible.effects.row_security import RowSecurity
from backout.databases.postgres.reversible.effects.rows_changed import RowsChanged
from backout.databases.postgres.reversible.effects.schema import SchemaAdded, SchemaHidden
from backout.databases.postgres.reversible.effects.sequence import SequenceAdded, SequenceHidden
from backout.databases.postgres.reversible.effects.sequence_changed import SequenceChanged
from backout.databases.postgres.reversible.effects.stored import Stored
from backout.databases.postgres.reversible.effects.stored_by_new_index import StoredByNewIndex
from backout.databases.postgres.reversible.effects.table_added import TableAdded
from backout.databases.postgres.reversible.effects.table_hidden import TableHidden
from backout.databases.postgres.reversible.effects.trigger import (
    TriggerAdded,
    TriggerHidden,
    TriggerReplaced,
    TriggerSwitched,
)
from backout.databases.postgres.reversible.effects.type_added import TypeAdded, TypeHidden
from backout.databases.postgres.reversible.effects.views_changed import ViewsChanged

EFFECTS: tuple[Effect, ...] = (
    ExtensionAdded(),
    ViewsChanged(),
    SchemaAdded(),
    SchemaHidden(),
    TypeAdded(),
    TypeHidden(),
    Cast(),
    NamedAdded(),
    Attributes(),
    DomainChanged(),
    DomainCheck(),
    TableAdded(),
    TableHidden(),
    PartitionAttached(),
    PartitionDetached(),
    Inherits(),
    ConstraintAdded(),
    ConstraintDropped(),
    ConstraintDeferred(),
    ConstraintValidated(),
    KeyDropped(),
    IndexAdded(),
    IndexHidden(),
    Remade(),
    Publication(),
    TriggerAdded(),
    TriggerHidden(),
    TriggerReplaced(),
    TriggerSwitched(),
    FunctionAdded(),
    FunctionHidden(),
    FunctionReplaced(),
    RowSecurity(),
    PolicyAdded(),
    PolicyDropped(),
    PolicyChanged(),
    ColumnAdded(),
    Identity(),
    SequenceAdded(),
    SequenceHidden(),
    SequenceChanged(),
    ColumnHidden(),
    ColumnAside(),
    ColumnRetyped(),
    ColumnNotNull(),
    ColumnDefault(),
    LabelAdded(),
    LabelRenamed(),
    Privileges(),
    DefaultPrivileges(),
    Owner(),
    StoredByNewIndex(),
    Stored(),
    Placed(),
    RowsChanged(),
    Renamed(),
    Commented(),
)
"""Whole things come before their parts: a new table takes its columns with it, a view all that it is."""


def effect(kind: str) -> Effect:
    """Return the effect of that name in the journal."""
    return next(one for one in EFFECTS if one.kind == kind)
